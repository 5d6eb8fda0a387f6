package integration

import (
	"bytes"
	"encoding/json"
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
		if listens(api) {
			p := &proxy{api: "http://" + api}
			if _, err := http.Get(p.api + "/version"); err != nil {
				continue // it was somebody else who listened
			}
			var made struct{ Listen string }
			ts.Check(json.Unmarshal(p.order(ts, "POST", "/proxies", map[string]any{"name": "way", "listen": "127.0.0.1:0", "upstream": upstream}), &made))
			p.address = made.Listen
			return p
		}
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
	data, err := json.Marshal(body)
	ts.Check(err)
	request, err := http.NewRequest(method, p.api+path, bytes.NewReader(data))
	ts.Check(err)
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode >= 300 {
		ts.Fatalf("toxiproxy: %s %s: %s %s", method, path, answer.Status, text)
	}
	return text
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
