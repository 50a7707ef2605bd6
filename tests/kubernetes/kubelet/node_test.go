// SPDX-License-Identifier: Apache-2.0

// Package kubelet has fastgpu-kubelet judged by the kubelet's own code: its device manager, its podresources server, its DRA manager. The
// test is a node: it starts and ends them, the daemon and ours. It needs /var/lib/kubelet for itself: run.py gives it one.
package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	podresourcesapi "k8s.io/kubelet/pkg/apis/podresources/v1"
	"k8s.io/kubernetes/pkg/kubelet/apis/podresources"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"
)

const (
	kubeletDir = "/var/lib/kubelet"
	pluginDir  = kubeletDir + "/device-plugins"
	ownPod     = "fastgpu-node"
	patience   = 30 * time.Second
)

func prefix() string { return os.Getenv("FASTGPU_PREFIX") }

// --- programs ---

type node struct {
	t      *testing.T
	state  string
	sim    string
	args   []string
	daemon *exec.Cmd
	plugin *exec.Cmd
	kube   *kubelet
	pods   *pods
}

func newNode(t *testing.T, sim string, args ...string) *node {
	t.Helper()
	n := &node{t: t, state: t.TempDir(), sim: sim, args: args, pods: &pods{}}
	n.pods.add(&v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: ownPod, Namespace: "kube-system", UID: "own"},
		Spec: v1.PodSpec{Containers: []v1.Container{{Name: "main"}}}})
	os.RemoveAll(kubeletDir)
	n.inMemory("run")
	n.inMemory("cdi")
	t.Cleanup(n.close)
	n.startDaemon()
	return n
}

// inMemory makes the folder what /run is on a node: none of it waits for the disk.
func (n *node) inMemory(name string) {
	n.t.Helper()
	folder := filepath.Join(n.state, name)
	if err := os.Mkdir(folder, 0755); err != nil {
		n.t.Fatal(err)
	}
	if err := syscall.Mount("none", folder, "tmpfs", 0, "mode=0755"); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { syscall.Unmount(folder, syscall.MNT_DETACH) })
}

func (n *node) environment() []string {
	env := []string{"FASTGPU_STATE_DIR=" + n.state, "FASTGPU_SIM=" + n.sim, "FASTGPU_CDI_DIR=" + filepath.Join(n.state, "cdi"),
		"FASTGPU_MEMORY_RESERVE=0", "FASTGPU_SIM_STATE=" + n.state, "POD_NAMESPACE=kube-system", "POD_NAME=" + ownPod}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "FASTGPU_") {
			env = append(env, e)
		}
	}
	return env
}

func (n *node) start(log string, name string, args ...string) *exec.Cmd {
	n.t.Helper()
	c := exec.Command(filepath.Join(prefix(), "bin", name), args...)
	c.Env = n.environment()
	out, err := os.OpenFile(filepath.Join(n.state, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	c.Stderr = out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		n.t.Fatal(err)
	}
	return c
}

func (n *node) startDaemon() {
	n.daemon = n.start("daemon.log", "fastgpud", "--foreground")
	n.eventually("the daemon answers", func() bool {
		status, _, err := n.request("GET", "/v1/version", "")
		return err == nil && status == 200
	})
}

func (n *node) startPlugin() { n.plugin = n.start("kubelet.log", "fastgpu-kubelet", n.args...) }

func end(c **exec.Cmd, sig syscall.Signal) {
	if *c != nil {
		(*c).Process.Signal(sig)
		(*c).Wait()
		*c = nil
	}
}

func (n *node) close() {
	end(&n.plugin, syscall.SIGTERM)
	if n.kube != nil {
		n.kube.stop()
	}
	end(&n.daemon, syscall.SIGTERM)
	if n.t.Failed() {
		for _, log := range []string{"kubelet.log", "daemon.log"} {
			text, _ := os.ReadFile(filepath.Join(n.state, log))
			if len(text) > 6000 {
				text = text[len(text)-6000:]
			}
			n.t.Logf("%s:\n%s", log, text)
		}
	}
}

func (n *node) eventually(what string, is func() bool) time.Duration {
	n.t.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > patience {
			n.t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begin)
}

// --- the daemon's API ---

func (n *node) request(method, path, body string) (int, map[string]any, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(n.state, "run/api.sock"))
		}}}
	request, _ := http.NewRequest(method, "http://fastgpu"+path, strings.NewReader(body))
	reply, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	var answer map[string]any
	json.Unmarshal(text, &answer)
	return reply.StatusCode, answer, err
}

// sets of a project: name -> number of vGPUs.
func (n *node) sets(project string) (map[string]int, error) {
	status, answer, err := n.request("GET", "/v1/vgpus?project="+project, "")
	found := map[string]int{}
	if err != nil || (status != 200 && status != 404) {
		return nil, fmt.Errorf("status %d: %v", status, err)
	}
	list, _ := answer["sets"].([]any)
	for _, s := range list {
		set := s.(map[string]any)
		found[set["name"].(string)] = len(set["vgpus"].([]any))
	}
	return found, nil
}

func (n *node) memoryFree() (total float64) {
	_, answer, err := n.request("GET", "/v1/devices", "")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, d := range answer["devices"].([]any) {
		if device := d.(map[string]any); device["type"] == "gpu" { // a processor's memory is what the machine has left
			total += device["memory_free"].(float64)
		}
	}
	return total
}

// --- pods ---

type pods struct {
	sync.Mutex
	list   []*v1.Pod
	hidden bool // the kubelet has not heard of them yet
	next   int
}

func (p *pods) add(pod *v1.Pod) {
	p.Lock()
	defer p.Unlock()
	p.list = append(p.list, pod)
}

func (p *pods) remove(pod *v1.Pod) {
	p.Lock()
	defer p.Unlock()
	for i, other := range p.list {
		if other == pod {
			p.list = append(p.list[:i:i], p.list[i+1:]...)
			return
		}
	}
}

func (p *pods) hide(hidden bool) {
	p.Lock()
	defer p.Unlock()
	p.hidden = hidden
}

func (p *pods) GetActivePods() []*v1.Pod {
	p.Lock()
	defer p.Unlock()
	if p.hidden {
		return nil
	}
	return append([]*v1.Pod{}, p.list...)
}

func (p *pods) GetPods() []*v1.Pod { return p.GetActivePods() }

func (p *pods) GetPodByName(namespace, name string) (*v1.Pod, bool) {
	for _, pod := range p.GetActivePods() {
		if pod.Namespace == namespace && pod.Name == name {
			return pod, true
		}
	}
	return nil, false
}

func (p *pods) AddSource(string) {}

func (p *pods) AllReady() bool {
	p.Lock()
	defer p.Unlock()
	return !p.hidden
}

func limits(resourceName string, count int) v1.ResourceRequirements {
	list := v1.ResourceList{v1.ResourceName(resourceName): resource.MustParse(strconv.Itoa(count))}
	return v1.ResourceRequirements{Limits: list, Requests: list}
}

func (p *pods) make(namespace, resourceName string, count int) *v1.Pod {
	p.next++
	name := fmt.Sprintf("pod-%d", p.next)
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, UID: types.UID("uid-" + name)},
		Spec: v1.PodSpec{Containers: []v1.Container{{Name: "main", Resources: limits(resourceName, count)}}}}
}

// --- the kubelet's parts ---

type kubelet struct {
	manager *devicemanager.ManagerImpl
	server  *grpc.Server
	done    chan struct{}
}

type nothing struct{}

func (nothing) GetCPUs(*v1.Pod, *v1.Container) []int64 { return nil }
func (nothing) GetPodCPUs(string) []int64              { return nil }
func (nothing) GetAllocatableCPUs() []int64            { return nil }
func (nothing) GetMemory(klog.Logger, *v1.Pod, *v1.Container) []*podresourcesapi.ContainerMemory {
	return nil
}
func (nothing) GetPodMemory(klog.Logger, string) []*podresourcesapi.ContainerMemory { return nil }
func (nothing) GetAllocatableMemory(klog.Logger) []*podresourcesapi.ContainerMemory { return nil }
func (nothing) GetDynamicResources(klog.Logger, *v1.Pod, *v1.Container) []*podresourcesapi.DynamicResource {
	return nil
}

// What the kubelet's container manager does between the two.
type devices struct{ manager *devicemanager.ManagerImpl }

func listed(instances devicemanager.ResourceDeviceInstances) (list []*podresourcesapi.ContainerDevices) {
	for name, devices := range instances {
		for id, device := range devices {
			list = append(list, &podresourcesapi.ContainerDevices{ResourceName: name, DeviceIds: []string{id}, Topology: nil})
			_ = device
		}
	}
	return list
}

func (d devices) UpdateAllocatedDevices(logger klog.Logger) { d.manager.UpdateAllocatedDevices(logger) }
func (d devices) GetDevices(podUID, container string) []*podresourcesapi.ContainerDevices {
	return listed(d.manager.GetDevices(podUID, container))
}
func (d devices) GetAllocatableDevices(logger klog.Logger) []*podresourcesapi.ContainerDevices {
	return listed(d.manager.GetAllocatableDevices(logger))
}

func (n *node) startKubelet() {
	n.t.Helper()
	logger := klog.Background()
	os.MkdirAll(pluginDir, 0750)
	os.MkdirAll(kubeletDir+"/pod-resources", 0750)
	manager, err := devicemanager.NewManagerImpl(logger, nil, topologymanager.NewFakeManager(logger))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := manager.Start(logger, n.pods.GetActivePods, n.pods, containermap.NewContainerMap(), sets.New[string]()); err != nil {
		n.t.Fatal(err)
	}
	k := &kubelet{manager: manager, server: grpc.NewServer(), done: make(chan struct{})}
	podresourcesapi.RegisterPodResourcesListerServer(k.server, podresources.NewV1PodResourcesServer(context.Background(),
		podresources.PodResourcesProviders{Pods: n.pods, Devices: devices{manager}, Cpus: nothing{}, Memory: nothing{}, DynamicResources: nothing{}}))
	path := kubeletDir + "/pod-resources/kubelet.sock"
	os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		n.t.Fatal(err)
	}
	go func() {
		k.server.Serve(listener)
		close(k.done)
	}()
	n.kube = k
}

func (k *kubelet) stop() {
	k.manager.Stop(klog.Background())
	k.server.Stop()
	<-k.done
}

func (n *node) restartKubelet() {
	n.kube.stop()
	n.startKubelet()
}

func (n *node) allocatable(resourceName string) int64 {
	_, allocatable, _ := n.kube.manager.GetCapacity(logger())
	quantity := allocatable[v1.ResourceName(resourceName)]
	return quantity.Value()
}

// admit does what the kubelet does with a new pod up to its containers' start, and tells their CDI devices.
func (n *node) admit(pod *v1.Pod) ([]string, error) {
	ctx := context.Background()
	n.pods.add(pod)
	all := append(append([]v1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...)
	for i := range all {
		if err := n.kube.manager.Allocate(ctx, pod, &all[i], lifecycle.AddOperation); err != nil {
			n.pods.remove(pod)
			return nil, err
		}
	}
	var found []string
	for i := range all {
		names, err := n.run(pod, &all[i])
		if err != nil {
			n.pods.remove(pod)
			return nil, err
		}
		found = append(found, names...)
	}
	return found, nil
}

// run is what precedes each start of a container.
func (n *node) run(pod *v1.Pod, container *v1.Container) (names []string, err error) {
	options, err := n.kube.manager.GetDeviceRunContainerOptions(context.Background(), pod, container)
	if err != nil {
		return nil, err
	}
	if options != nil {
		for _, device := range options.CDIDevices {
			names = append(names, device.Name)
		}
	}
	return names, nil
}
