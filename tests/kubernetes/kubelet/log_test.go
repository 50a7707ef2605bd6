// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"flag"
	"io"
	"os"
	"testing"

	"k8s.io/klog/v2"
)

func logger() klog.Logger { return klog.Background() }

func TestMain(m *testing.M) {
	if os.Getenv("FASTGPU_TEST_ROOM") == "" {
		os.Stderr.WriteString("run by tests/kubernetes/run.py, which gives it a /var/lib/kubelet of its own\n")
		os.Exit(77)
	}
	if os.Getenv("KUBERNETES_VERBOSE") == "" {
		flags := flag.NewFlagSet("klog", flag.PanicOnError)
		klog.InitFlags(flags)
		flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL"})
		klog.SetOutput(io.Discard)
	}
	os.Exit(m.Run())
}
