// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"
)

const (
	small = "fastgpu.dev/vgpu-1g-10"
	large = "fastgpu.dev/vgpu-4g-50"
)

func set(device string) string {
	return strings.TrimPrefix(device, "fastgpu.dev/vgpu=kubernetes:")
}

// whole is a node with two GPUs of 8 GB and two classes, all started.
func whole(t *testing.T) *node {
	n := newNode(t, `2x"Test GPU":8G`, "--class=1G:10", "--class=4G:50", "--verbose")
	n.startKubelet()
	n.startPlugin()
	n.ready()
	return n
}

func (n *node) ready() {
	n.t.Helper()
	n.eventually("both classes are there", func() bool { return n.allocatable(small) > 0 && n.allocatable(large) > 0 })
}

// hasExactly: these are the sets of these pods.
func hasExactly(found map[string]int, live map[*v1.Pod][]string) bool {
	want := 0
	for _, names := range live {
		for _, name := range names {
			if want++; found[set(name)] == 0 {
				return false
			}
		}
	}
	return len(found) == want
}

// settled waits until the daemon has exactly the sets of these pods.
func (n *node) settled(live map[*v1.Pod][]string) time.Duration {
	n.t.Helper()
	var found map[string]int
	defer func() {
		if n.t.Failed() {
			n.t.Logf("wanted those of %v, found %v", live, found)
		}
	}()
	return n.eventually("the daemon has what the pods have", func() bool {
		found, _ = n.sets("kubernetes")
		return found != nil && hasExactly(found, live)
	})
}

func (n *node) cdi() map[string]bool {
	var spec struct{ Devices []struct{ Name string } }
	text, err := os.ReadFile(filepath.Join(n.state, "cdi/fastgpu.dev-vgpu.json"))
	if err != nil || json.Unmarshal(text, &spec) != nil {
		return nil
	}
	found := map[string]bool{}
	for _, device := range spec.Devices {
		found["fastgpu.dev/vgpu="+device.Name] = true
	}
	return found
}

func TestOnePod(t *testing.T) {
	n := whole(t)
	free := n.memoryFree()
	if got := n.allocatable(small); got != 16 {
		t.Errorf("%d slices of 1 GB on two GPUs of 8 GB", got)
	}
	if got := n.allocatable(large); got != 4 {
		t.Errorf("%d slices of 4 GB", got)
	}
	pod := n.pods.make("team", small, 3)
	names, err := n.admit(pod)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v: %v", names, err)
	}
	if !n.cdi()[names[0]] {
		t.Errorf("engines are not told of %s", names[0])
	}
	sets, _ := n.sets("kubernetes")
	if sets[set(names[0])] != 3 {
		t.Errorf("%s is not a set of 3: %v", names[0], sets)
	}
	if got := free - n.memoryFree(); got != 3<<30 {
		t.Errorf("%f bytes are taken", got)
	}
	// What one class takes, the other lacks: spread over both GPUs, 6 and 7 GB of memory are left, and 80 and 90 % of compute.
	n.eventually("the other class has less", func() bool { return n.allocatable(large) == 2 })
	if _, err := n.run(pod, &pod.Spec.Containers[0]); err != nil {
		t.Errorf("its container cannot start again: %v", err)
	}
	n.eventually("fastgpu why names its vGPUs", func() bool {
		command := exec.Command(filepath.Join(prefix(), "bin/fastgpu"), "why", "pod/team/"+pod.Name)
		command.Env = n.environment()
		text, _ := command.Output()
		return strings.Contains(string(text), "kubernetes:"+set(names[0]))
	})
	n.pods.remove(pod)
	n.settled(nil)
	if n.memoryFree() != free {
		t.Error("not everything was given back")
	}
	n.eventually("the other class has it again", func() bool { return n.allocatable(large) == 4 })
}

func TestWhatDoesNotFit(t *testing.T) {
	n := whole(t)
	// Somebody without Kubernetes takes all of both GPUs but a little, faster than the kubelet is told.
	if _, err := n.admit(n.pods.make("team", large, 5)); err == nil {
		t.Error("5 of 4 were given")
	}
	for _, device := range []string{"0", "1"} {
		n.request("POST", "/v1/vgpus", `{"name": "other-`+device+`", "memory": "7G", "compute": "80", "device": "`+device+`"}`)
	}
	pod := n.pods.make("team", small, 4)
	if _, err := n.admit(pod); err == nil || (!strings.Contains(err.Error(), "FastGPU") && !strings.Contains(err.Error(), "unavailable")) {
		t.Errorf("refused in these words: %v", err)
	}
	n.settled(nil)
	n.eventually("what is left is told", func() bool { return n.allocatable(small) == 2 && n.allocatable(large) == 0 })
	live := map[*v1.Pod][]string{}
	pod = n.pods.make("team", small, 2)
	names, err := n.admit(pod)
	if err != nil {
		t.Fatal(err)
	}
	live[pod] = names
	n.settled(live)
}

// A kubelet that has just started knows no pods while their containers run.
func TestKubeletThatKnowsNothingYet(t *testing.T) {
	n := whole(t)
	live := map[*v1.Pod][]string{}
	pod := n.pods.make("team", small, 1)
	live[pod], _ = n.admit(pod)
	n.pods.hide(true)
	n.restartKubelet()
	end(&n.plugin, syscall.SIGKILL)
	n.startPlugin()
	time.Sleep(5 * time.Second)
	n.settled(live)
	n.pods.hide(false)
	n.ready()
	if names, err := n.run(pod, &pod.Spec.Containers[0]); err != nil || names[0] != live[pod][0] {
		t.Errorf("%v: %v", names, err)
	}
	n.settled(live)
	n.pods.remove(pod)
	n.settled(nil)
}

// Its init container has two devices, of which the kubelet gives one to the other container; lists of pods do not name the first.
func TestInitContainer(t *testing.T) {
	n := whole(t)
	pod := n.pods.make("team", small, 1)
	pod.Spec.InitContainers = []v1.Container{{Name: "init", Resources: limits(small, 2)}}
	n.pods.add(pod)
	defer n.pods.remove(pod)
	for _, c := range []*v1.Container{&pod.Spec.InitContainers[0], &pod.Spec.Containers[0]} {
		if err := n.kube.manager.Allocate(t.Context(), pod, c, lifecycle.AddOperation); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []*v1.Container{&pod.Spec.InitContainers[0], &pod.Spec.Containers[0]} {
		names, err := n.run(pod, c)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			time.Sleep(4 * time.Second) // longer than what was just made is spared
		}
		sets, _ := n.sets("kubernetes")
		if len(sets) != 1 || sets[set(names[0])] != 2-i {
			t.Errorf("container %d has %v, the daemon %v", i, names, sets)
		}
	}
}

func resident(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") {
			return strings.Fields(line)[1]
		}
	}
	return "?"
}

// processor is what a process has used, in steps of 10 ms.
func processor(pid int) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	part := strings.Fields(rest)
	if len(part) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(part[11])
	system, _ := strconv.Atoi(part[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
