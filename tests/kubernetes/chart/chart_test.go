// SPDX-License-Identifier: Apache-2.0

// Package chart has Helm's own engine render the chart. What comes out with its own values is what stands in fastgpu.yaml, which the API server's
// own code judges in ../kubelet.
package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func manifests() string { return filepath.Join(os.Getenv("FASTGPU_SOURCE"), "packaging/kubernetes") }

func render(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := try(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func try(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	loaded, err := loader.Load(filepath.Join(manifests(), "chart"))
	if err != nil {
		t.Fatal(err)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	all, err := chartutil.ToRenderValues(loaded, values, chartutil.ReleaseOptions{Name: "fastgpu", Namespace: "fastgpu-system", IsInstall: true}, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return "", err
	}
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	text := ""
	for _, name := range names {
		if body := strings.TrimSpace(files[name]); strings.Contains(body, "kind:") {
			text += "---\n" + body + "\n"
		}
	}
	return text, nil
}

// As it is to be, into the folder that KUBERNETES_WRITE names.
func differs(t *testing.T, name, text string) {
	t.Helper()
	if folder := os.Getenv("KUBERNETES_WRITE"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0644); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("packaging/kubernetes/%s is not what the chart makes: KUBERNETES_WRITE=FOLDER writes it as it is to be into that folder", name)
}

func TestPlainManifest(t *testing.T) {
	plain, err := os.ReadFile(filepath.Join(manifests(), "fastgpu.yaml"))
	rendered := render(t, nil)
	at := strings.Index(string(plain), "\n---\n")
	if err != nil || at < 0 || string(plain)[at+1:] != rendered {
		differs(t, "fastgpu.yaml", string(plain)[:max(at, 0)]+"\n"+rendered)
	}
}

// The scheduler's own part stands behind the rest.
func TestPlainScheduler(t *testing.T) {
	plain, err := os.ReadFile(filepath.Join(manifests(), "fastgpu-scheduler.yaml"))
	rest := render(t, nil)
	rendered := render(t, map[string]any{"scheduler": map[string]any{"enabled": true, "image": "KUBE-SCHEDULER-IMAGE"}})
	own, found := strings.CutPrefix(rendered, rest)
	_, body, _ := strings.Cut(string(plain), "\n")
	if err != nil || !found || body != own {
		differs(t, "fastgpu-scheduler.yaml", strings.SplitN(string(plain), "\n", 2)[0]+"\n"+own)
	}
	named := render(t, map[string]any{"classes": []any{"8G:25", "small=1G:5"}, "scheduler": map[string]any{"enabled": true, "image": "x"}})
	if strings.Count(named, "--class=small=1G:5") != 2 || strings.Count(named, "--class=8G:25") != 1 {
		t.Error("the scheduler is told of other classes than those with names")
	}
}

func TestValues(t *testing.T) {
	bare := render(t, map[string]any{"dra": false, "refuseMixing": false})
	for _, word := range []string{"--dra", "ClusterRole", "DeviceClass", "AdmissionPolicy", "plugins_registry"} {
		if strings.Contains(bare, word) {
			t.Errorf("%s is there without claims and policies", word)
		}
	}
	if labels := render(t, map[string]any{"payerLabel": "example.com/project"}); !strings.Contains(labels, "--payer-label=example.com/project") ||
		!strings.Contains(labels, "resources: [namespaces]") || !strings.Contains(labels, "resources: [pods]") || strings.Contains(labels, "nodes/status") {
		t.Error("labels name the payer, and the rights are not those for that")
	}
	own := render(t, map[string]any{"classes": []any{"small=1G:5"}, "nodeSelector": map[string]any{"gpu": "yes"}, "inject": "mounts"})
	for _, word := range []string{"--class=small=1G:5", "gpu: \"yes\"", "--inject=mounts"} {
		if !strings.Contains(own, word) {
			t.Errorf("%s is not there", word)
		}
	}
}

// What fastgpu-kubelet would refuse on every node.
func TestRefusals(t *testing.T) {
	many := []any{}
	for i := range 16 {
		many = append(many, fmt.Sprintf("c%d=1G:5", i))
	}
	if _, err := try(t, map[string]any{"classes": many, "payers": []any{"team-a=Research.1", "b=x"}}); err != nil {
		t.Error(err)
	}
	for word, values := range map[string]map[string]any{
		"hami: it reads pods at the API server: set dra: true with it": {"hami": true, "dra": false},
		"hami: it needs inject: cdi":                                   {"hami": true, "inject": "mounts"},
		"payerLabel: it reads pods and namespaces":                     {"payerLabel": "project", "dra": false},
		"inject: cid: there are cdi and mounts":                        {"inject": "cid"},
		"scheduler.enabled: it places by what claims have":             {"scheduler": map[string]any{"enabled": true, "image": "x"}, "dra": false},
		"scheduler.image: give kube-scheduler's image":                 {"scheduler": map[string]any{"enabled": true}},
		"classes: there are none, and no claims either":                {"classes": []any{}, "dra": false},
		"classes: there are 17: give at most 16 in all":                {"classes": append(many, "8G:25")},
		"classes: there are 16, and hami: give at most 16 in all":      {"classes": many, "hami": true},
		"classes: 8g:25: 8G:25 has that name already":                  {"classes": []any{"8G:25", "1G:5", "8g:25"}},
		"classes: a=2G:5: a=1G:5 has that name already":                {"classes": []any{"a=1G:5", "a=2G:5"}},
		"payers: team: give NAMESPACE=PROJECT":                         {"payers": []any{"team"}},
		"payers: team=a/b: give NAMESPACE=PROJECT":                     {"payers": []any{"team=a/b"}},
		"payers: 7: give NAMESPACE=PROJECT":                            {"payers": []any{7}},
		"payers: team=b: team=a has that namespace already":            {"payers": []any{"team=a", "team=b"}},
	} {
		if _, err := try(t, values); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v: %v, not %s", values, err, word)
		}
	}
}
