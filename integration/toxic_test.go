package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// proxy is a way to a server through a toxiproxy of its own.
type proxy struct {
	api     string // where toxiproxy takes orders
	address string // where the server seems to be
}

func newProxy(ts *testscript.TestScript, upstream string) *proxy {
	for range 5 { // somebody may take the port before it does
		api := "127.0.0.1:" + strconv.Itoa(freePort(ts))
		host, port, _ := strings.Cut(api, ":")
		cmd := exec.Command(tool(ts, "toxiproxy"), "-host", host, "-port", port)
		ts.Check(cmd.Start())
		ts.Defer(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		if !listens(api) {
			continue
		}
		p := &proxy{api: "http://" + api}
		var made struct{ Listen string }
		text, err := p.tell("POST", "/proxies", map[string]any{"name": "way", "listen": "127.0.0.1:0", "upstream": upstream})
		if err == nil && json.Unmarshal(text, &made) == nil {
			p.address = made.Listen
			return p
		}
		ts.Logf("toxiproxy, once more: %v", err)
	}
	ts.Fatalf("toxiproxy does not listen")
	return nil
}

// lead lets the proxy lead to another place.
func (p *proxy) lead(ts *testscript.TestScript, upstream string) {
	p.order(ts, "POST", "/proxies/way", map[string]any{"listen": p.address, "upstream": upstream})
}

// order gives toxiproxy an order and returns its answer.
func (p *proxy) order(ts *testscript.TestScript, method, path string, body any) []byte {
	text, err := p.tell(method, path, body)
	ts.Check(err)
	return text
}

func (p *proxy) tell(method, path string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(method, p.api+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("toxiproxy: %s %s: %s %s", method, path, answer.Status, text)
	}
	return text, err
}

// toxic: toxic NAME TYPE upstream|downstream [ATTRIBUTE=N…] disturbs all
// connections to a server, those that are there as well; toxic NAME off ends
// that. The types are those of toxiproxy.
func toxic(ts *testscript.TestScript, _ bool, args []string) {
	p := theServer(ts, args[0]).proxy
	if args[1] == "off" {
		p.order(ts, "POST", "/reset", nil)
		return
	}
	p.disturb(ts, "way", args[1:])
}

// disturb adds a toxic to one of the proxy's ways: TYPE STREAM [ATTRIBUTE=N…].
func (p *proxy) disturb(ts *testscript.TestScript, way string, args []string) {
	attributes := map[string]int{}
	for _, arg := range args[2:] {
		name, text, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(text)
		ts.Check(err)
		attributes[name] = n
	}
	p.order(ts, "POST", "/proxies/"+way+"/toxics", map[string]any{"name": args[0] + args[1], "type": args[0], "stream": args[1], "attributes": attributes})
}
