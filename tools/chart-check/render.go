// Renders a Helm chart without Helm: Go's templates, sprig, and the functions and objects of Helm that this chart uses.
// For checks where Helm is not installed; with it the check renders twice and compares.
//
//	render CHART [-f VALUES]... [--set KEY=VALUE]... [--name RELEASE] [--namespace NS]
//
// Prints every template's output behind a line "# Source: chart/path", or one error and exit code 1.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type values = map[string]interface{}

// files is .Files: those of the chart that are no templates.
type files map[string]string

func (f files) Get(name string) string { return f[name] }

func (f files) Glob(pattern string) files {
	found := files{}
	for name, text := range f {
		if ok, _ := filepath.Match(pattern, name); ok {
			found[name] = text
		}
	}
	return found
}

type capabilities struct {
	APIVersions apiVersions
	KubeVersion values
}

type apiVersions []string

func (a apiVersions) Has(wanted string) bool {
	for _, known := range a {
		if known == wanted {
			return true
		}
	}
	return false
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: render CHART [-f VALUES]... [--set KEY=VALUE]... [--name RELEASE]")
	}
	chart, name, namespace := args[0], "release", "default"
	merged := values{}
	if err := readYaml(filepath.Join(chart, "values.yaml"), &merged); err != nil {
		return err
	}
	for i := 1; i+1 < len(args); i += 2 {
		switch args[i] {
		case "-f":
			over := values{}
			if err := readYaml(args[i+1], &over); err != nil {
				return err
			}
			merge(merged, over)
		case "--set":
			if err := set(merged, args[i+1]); err != nil {
				return err
			}
		case "--name":
			name = args[i+1]
		case "--namespace":
			namespace = args[i+1]
		default:
			return fmt.Errorf("unknown option %s", args[i])
		}
	}
	return render(chart, name, namespace, merged)
}

func render(chart, name, namespace string, merged values) error {
	about := values{}
	if err := readYaml(filepath.Join(chart, "Chart.yaml"), &about); err != nil {
		return err
	}
	schema := values{}
	if err := readYaml(filepath.Join(chart, "values.schema.json"), &schema); err != nil {
		return err
	}
	if err := compilePatterns(schema); err != nil {
		return err
	}
	templates, others, err := readChart(chart)
	if err != nil {
		return err
	}
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	sources := []string{}
	for path, text := range templates {
		if _, err := root.New(path).Parse(text); err != nil {
			return err
		}
		if !strings.HasPrefix(filepath.Base(path), "_") && filepath.Ext(path) != ".txt" {
			sources = append(sources, path)
		}
	}
	sort.Strings(sources)
	data := values{
		"Values": merged,
		"Chart": values{
			"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"],
		},
		"Release": values{
			"Name": name, "Namespace": namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1,
		},
		"Files":        others,
		"Capabilities": capabilities{apiVersions{"v1", "apps/v1"}, values{"Version": "v1.31.0", "Major": "1", "Minor": "31"}},
	}
	for _, path := range append(sources, "templates/NOTES.txt") {
		if root.Lookup(path) == nil {
			continue
		}
		data["Template"] = values{"Name": path, "BasePath": "templates"}
		out := strings.Builder{}
		if err := root.ExecuteTemplate(&out, path, data); err != nil {
			return err
		}
		if filepath.Ext(path) != ".txt" && strings.TrimSpace(out.String()) != "" {
			fmt.Printf("---\n# Source: %v/%s\n%s\n", about["name"], path, strings.TrimSpace(out.String()))
		}
	}
	return nil
}

// compilePatterns refuses patterns that Helm could not compile: its schemas are checked with Go's regular expressions, which
// have no look-ahead.
func compilePatterns(schema interface{}) error {
	switch node := schema.(type) {
	case values:
		for key, value := range node {
			if pattern, isText := value.(string); isText && key == "pattern" {
				if _, err := regexp.Compile(pattern); err != nil {
					return fmt.Errorf("values.schema.json: %w", err)
				}
			}
			if err := compilePatterns(value); err != nil {
				return err
			}
		}
	case []interface{}:
		for _, value := range node {
			if err := compilePatterns(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func functions(root *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	include := func(name string, data interface{}) (string, error) {
		out := strings.Builder{}
		err := root.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	all["include"] = include
	all["tpl"] = func(text string, data interface{}) (string, error) {
		copy, err := root.Clone()
		if err != nil {
			return "", err
		}
		parsed, err := copy.New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		out := strings.Builder{}
		err = parsed.Execute(&out, data)
		return out.String(), err
	}
	all["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	all["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	all["lookup"] = func(string, string, string, string) values { return values{} }
	all["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	all["fromYaml"] = func(text string) values {
		value := values{}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			value["Error"] = err.Error()
		}
		return value
	}
	all["toJson"] = func(value interface{}) string {
		text, _ := json.Marshal(value)
		return string(text)
	}
	return all
}

func readChart(chart string) (map[string]string, files, error) {
	templates, others := map[string]string{}, files{}
	err := filepath.Walk(chart, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		name, _ := filepath.Rel(chart, path)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, "templates/") {
			templates[name] = string(text)
		} else if name != "values.yaml" && name != "Chart.yaml" && name != "values.schema.json" {
			others[name] = string(text)
		}
		return nil
	})
	return templates, others, err
}

func readYaml(path string, into *values) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// merge does what Helm does: maps are merged, null takes a key away, all else replaces.
func merge(into, over values) {
	for key, value := range over {
		if value == nil {
			delete(into, key)
			continue
		}
		if more, isMap := value.(values); isMap {
			if have, alsoMap := into[key].(values); alsoMap {
				merge(have, more)
				continue
			}
		}
		into[key] = value
	}
}

// set takes a.b.c=value; the value is read as YAML.
func set(into values, assignment string) error {
	path, text, found := strings.Cut(assignment, "=")
	if !found {
		return fmt.Errorf("--set %s is not KEY=VALUE", assignment)
	}
	var value interface{}
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		next, isMap := into[key].(values)
		if !isMap {
			next = values{}
			into[key] = next
		}
		into = next
	}
	into[keys[len(keys)-1]] = value
	return nil
}
