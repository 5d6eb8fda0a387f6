package object

import "shardraid/backends/backendtest"

func hideList() backendtest.Fault { return backendtest.Fault{Op: "list", Do: backendtest.Empty()} }
func hideGet() backendtest.Fault  { return backendtest.Fault{Op: "get", Do: backendtest.NotFound()} }
func failPuts() backendtest.Fault {
	return backendtest.Fault{Op: "put", Do: backendtest.ErrorInstead(errDown)}
}
