package layout

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func smallDocument() *Document {
	return NewDocument(small, map[string]string{"a": "aaaaaaaaaaaaa", "b": "bbbbbbbbbbb27"})
}

func TestDocument(t *testing.T) {
	d := smallDocument()
	d.Epoch, d.Previous = 3, []string{"aa", "bb"}
	d.YAML += "# <ü> & \"quotes\"\r\n"
	data, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"epoch":3,"previous":["aa","bb"],"ids":{"a":"aaaaaaaaaaaaa","b":"bbbbbbbbbbb27"},"yaml":"shardraid: 1\ndata: 1\nparity: 1\nbackends:\n  - {name: a, remote: /srv/a}\n  - {name: b, remote: /srv/b}\n# <ü> & \"quotes\"\r\n"}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	got, l, err := ParseDocument(data)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if l.Backends[0].ID != "aaaaaaaaaaaaa" || l.Backends[1].ID != "bbbbbbbbbbb27" {
		t.Errorf("ids: %+v", l.Backends)
	}
}

// fullDocument has the fields that not every document has.
func fullDocument() *Document {
	d := smallDocument()
	d.YAML = strings.NewReplacer("data: 1", "data: 2", "parity: 1", "parity: 3").Replace(d.YAML)
	for _, name := range []string{"c", "d", "e"} {
		d.YAML += "  - {name: " + name + ", remote: 's:" + name + "'}\n"
		d.IDs[name] = strings.Repeat(name, 13)
	}
	d.Epoch, d.Previous, d.LeastData, d.LeastParity = 2, []string{"aa"}, 1, 2
	d.Types = map[string]string{"s": "drive", "s 2": "onedrive"}
	return d
}

func TestDocumentOptionalFields(t *testing.T) {
	d := fullDocument()
	data, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if want := `},"types":{"s":"drive","s 2":"onedrive"},"least_data":1,"least_parity":2,"yaml":"shardraid: 1\ndata: 2\n`; !strings.Contains(string(data), want) {
		t.Errorf("got %s, want %s in it", data, want)
	}
	got, l, err := ParseDocument(data)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if l.Data != 2 || l.Parity != 3 || l.LeastData != 1 || l.LeastParity != 2 || l.Epoch != 2 || l.Hash != Hash(data) || len(l.Hash) != 64 {
		t.Errorf("got %+v", l)
	}
	// Without them the layout's own numbers are the least.
	data, err = smallDocument().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, l, err = ParseDocument(data)
	if err != nil || got.Types != nil || l.LeastData != 1 || l.LeastParity != 1 || l.Epoch != 1 {
		t.Errorf("got %+v, %+v, %v", got, l, err)
	}
	for _, field := range []string{"types", "least", "previous"} {
		if strings.Contains(string(data), field) {
			t.Errorf("%s is written in %s", field, data)
		}
	}
}

func TestNewDocumentCopies(t *testing.T) {
	ids := map[string]string{"a": "aaaaaaaaaaaaa"}
	d := NewDocument(small, ids)
	ids["a"] = ""
	if d.Epoch != 1 || d.Previous != nil || d.IDs["a"] == "" {
		t.Errorf("got %+v", d)
	}
}

func TestMarshalRefuses(t *testing.T) {
	for want, change := range map[string]func(*Document){
		"epoch 0":                       func(d *Document) { d.Epoch = 0 },
		"epoch 1 with 1":                func(d *Document) { d.Previous = []string{"x"} },
		"epoch 2 with 0":                func(d *Document) { d.Epoch = 2 },
		"named twice":                   func(d *Document) { d.Epoch, d.Previous = 2, []string{"x", "x"} },
		"no hash":                       func(d *Document) { d.Epoch, d.Previous = 2, []string{"x y"} },
		"513 predecessors":              func(d *Document) { d.Epoch, d.Previous = 2, strings.Split(strings.Repeat("x", 513), "") },
		"least data 1":                  func(d *Document) { d.LeastData = 1 },
		"least parity -1":               func(d *Document) { d.LeastParity = -1 },
		`backend "b" has no id`:         func(d *Document) { delete(d.IDs, "b") },
		"ids for 1 backends":            func(d *Document) { d.IDs["c"] = "ccccccccccccc" },
		"have the same id":              func(d *Document) { d.IDs["b"] = d.IDs["a"] },
		`id "short" is not`:             func(d *Document) { d.IDs["b"] = "short" },
		`id "aaaaaaaaaaaa1" is not`:     func(d *Document) { d.IDs["b"] = "aaaaaaaaaaaa1" },
		"layout:1: empty":               func(d *Document) { d.YAML = "" },
		"layout:1: not UTF-8":           func(d *Document) { d.YAML = "\xff" },
		"layout:2: data 0 is out of":    func(d *Document) { d.YAML = strings.Replace(small, "data: 1", "data: 0", 1) },
		"layout:1: larger than 1 MiB":   func(d *Document) { d.YAML += "#" + strings.Repeat(" ", 1<<20) },
		"layout:1: written for a newer": func(d *Document) { d.YAML = "shardraid: 2" },
	} {
		d := smallDocument()
		change(d)
		if _, err := d.Marshal(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Marshal: got %v, want %q", err, want)
		}
		data, _ := json.Marshal(d)
		if want == "layout:1: not UTF-8" {
			continue // JSON cannot carry it
		}
		if _, _, err := ParseDocument(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDocument: got %v, want %q", err, want)
		}
	}
}

func TestParseDocumentRefuses(t *testing.T) {
	good, err := smallDocument().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	swap := func(old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("no %q in %s", old, text)
		}
		return strings.Replace(text, old, new, 1)
	}
	for _, test := range []struct{ data, want string }{
		{"", "not a JSON object"},
		{"null", "not a JSON object"},
		{"[]", "not a JSON object"},
		{"{}", "epoch 0"},
		{text[:len(text)-1], "EOF"},
		{text[:len(text)-9], "unexpected"},
		{text + "x", "data behind it"},
		{text + " {}", "data behind it"},
		{swap(`"epoch":1`, `"epoch":1,"colour":"blue"`), `unknown field "colour"`},
		{swap(`"epoch":1`, `"epoch":2,"Epoch":1`), `unknown field "Epoch"`},
		{swap(`"epoch":1`, `"EPOCH":1`), `unknown field "EPOCH"`},
		{swap(`"epoch":1`, `"epoch":1,"epoch":1`), `"epoch" is there twice`},
		{swap(`"a":"aaaaaaaaaaaaa"`, `"a":"ccccccccccccc","a":"aaaaaaaaaaaaa"`), `"a" is there twice`},
		{swap(`"yaml"`, `"types":{"s":"drive","s":"box"},"yaml"`), `"s" is there twice`},
		{swap(`"yaml"`, `"types":{"s":"drive","\u0073":"box"},"yaml"`), `"s" is there twice`},
		{swap(`"yaml"`, `"types":{"s":"drive"},"types":{},"yaml"`), `"types" is there twice`},
		{swap(`"yaml"`, `"types":[],"yaml"`), "not a JSON object"},
		{swap(`"yaml"`, `"types":null,"yaml"`), "not a JSON object"},
		{swap(`"yaml"`, `"types":{"s":{"type":"drive"}},"yaml"`), "object"},
		{swap(`"yaml"`, `"Types":{"s":"drive"},"yaml"`), `unknown field "Types"`},
		{swap(`"yaml"`, `"least_data":1,"yaml"`), "least data 1 is not below"},
		{swap(`"yaml"`, `"least_parity":2,"yaml"`), "least parity 2 is not below"},
		{swap(`"yaml"`, `"least_parity":-1,"yaml"`), "least parity -1 is not below"},
		{swap(`"yaml"`, `"least_data":"1","yaml"`), "string"},
		{swap(`"yaml"`, `"least":1,"yaml"`), `unknown field "least"`},
		{swap(`"epoch":1`, `"epoch":1.5`), "number"},
		{swap(`"epoch":1`, `"epoch":"1"`), "string"},
		{swap(`"epoch":1`, `"epoch":99999999999999999999`), "number"},
		{swap(`"epoch":1`, `"epoch":1,"previous":["x"]`), "predecessors"},
		{swap(`"ids":{`, `"ids":null,"x":{`), "unknown field"},
		{swap(`shardraid: 1`, "shardraid: \xff"), "not UTF-8"},
		{strings.Repeat(" ", maxDocument+1), "larger than 8 MiB"},
		{`{"ids":` + strings.Repeat("[", 1<<20), "max depth"},
	} {
		_, _, err := ParseDocument([]byte(test.data))
		if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 700 {
			t.Errorf("%.200s: got %v, want %q", test.data, err, test.want)
		}
	}
}
