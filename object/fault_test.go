package object

import (
	"time"

	"shardraid/backends/backendtest"
)

func hideList() backendtest.Fault { return backendtest.Fault{Op: "list", Do: backendtest.Empty()} }
func hideGet() backendtest.Fault  { return backendtest.Fault{Op: "get", Do: backendtest.NotFound()} }
func failPuts() backendtest.Fault {
	return backendtest.Fault{Op: "put", Do: backendtest.ErrorInstead(errDown)}
}

func slowGets() backendtest.Fault {
	return backendtest.Fault{Op: "get", Do: backendtest.Delay(10 * time.Millisecond)}
}
