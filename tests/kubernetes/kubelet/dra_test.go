// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"context"
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/record"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/structured"
	"k8s.io/klog/v2"
	drapb "k8s.io/kubelet/pkg/apis/dra/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm/dra"
	"k8s.io/kubernetes/pkg/kubelet/pluginmanager"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// drivers is the kubelet's part that deals with claims.
type drivers struct {
	manager *dra.Manager
	stop    context.CancelFunc
	ended   chan struct{}
}

func (n *node) startDrivers(s *server) *drivers {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	os.MkdirAll(kubeletDir+"/plugins_registry", 0750)
	manager, err := dra.NewManager(klog.Background(), s.store, kubeletDir)
	if err != nil {
		n.t.Fatal(err)
	}
	getNode := func(ctx context.Context) (*v1.Node, error) {
		return s.store.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	}
	if err := manager.Start(ctx, n.pods.GetActivePods, getNode, n.pods); err != nil {
		n.t.Fatal(err)
	}
	plugins := pluginmanager.NewPluginManager(kubeletDir+"/plugins_registry", record.NewFakeRecorder(100))
	plugins.AddHandler("DRAPlugin", manager.GetWatcherHandler())
	ended := make(chan struct{})
	go func() {
		plugins.Run(ctx, n.pods, ctx.Done())
		close(ended)
	}()
	return &drivers{manager, cancel, ended}
}

func (d *drivers) close() {
	d.stop()
	<-d.ended
	d.manager.Stop()
}

func dranode(t *testing.T) (*node, *server, *drivers) {
	s := newServer(t)
	n := newNode(t, `2x"Test GPU":8G`, append(s.args(), "--verbose")...)
	d := n.startDrivers(s)
	t.Cleanup(func() { d.close() })
	n.startPlugin()
	n.eventually("the slice is published", func() bool { return s.published() != nil })
	return n, s, d
}

type classes struct{}

func (classes) List() ([]*resourceapi.DeviceClass, error) {
	return []*resourceapi.DeviceClass{class()}, nil
}
func (classes) Get(string) (*resourceapi.DeviceClass, error) { return class(), nil }

func class() *resourceapi.DeviceClass {
	return &resourceapi.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "vgpu.fastgpu.dev"}, Spec: resourceapi.DeviceClassSpec{
		Selectors: []resourceapi.DeviceSelector{{CEL: &resourceapi.CELDeviceSelector{Expression: `device.driver == "fastgpu.dev"`}}}}}
}

// uidOf is a UUID, as the API server makes them.
func uidOf(name string) types.UID {
	sum := md5.Sum([]byte(name))
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:]))
}

// claim has the scheduler's own allocator allocate one from what is published; nil if it cannot.
func (s *server) claim(name, memory, compute string, count int64, selector string) *resourceapi.ResourceClaim {
	ctx := context.Background()
	slice := s.published()
	if slice == nil {
		return nil
	}
	exact := &resourceapi.ExactDeviceRequest{DeviceClassName: "vgpu.fastgpu.dev", AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: count}
	if memory != "" {
		exact.Capacity = &resourceapi.CapacityRequirements{Requests: map[resourceapi.QualifiedName]resource.Quantity{
			"memory": resource.MustParse(memory), "compute": resource.MustParse(compute)}}
	}
	if selector != "" {
		exact.Selectors = []resourceapi.DeviceSelector{{CEL: &resourceapi.CELDeviceSelector{Expression: selector}}}
	}
	claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "team", UID: uidOf(name)},
		Spec: resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{Requests: []resourceapi.DeviceRequest{{Name: "gpu", Exactly: exact}}}}}
	all, _ := s.store.ResourceV1().ResourceClaims("").List(ctx, metav1.ListOptions{})
	state := structured.AllocatedState{AllocatedDevices: sets.New[structured.DeviceID](), AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](),
		AggregatedCapacity: structured.NewConsumedCapacityCollection()}
	for _, other := range all.Items {
		for _, result := range other.Status.Allocation.Devices.Results {
			id := structured.MakeDeviceID(result.Driver, result.Pool, result.Device)
			if result.ShareID != nil {
				state.AllocatedSharedDeviceIDs.Insert(structured.MakeSharedDeviceID(id, result.ShareID))
				state.AggregatedCapacity.Insert(structured.NewDeviceConsumedCapacity(id, result.ConsumedCapacity))
			} else {
				state.AllocatedDevices.Insert(id)
			}
		}
	}
	features := structured.Features{ConsumableCapacity: true, DeviceTaints: true}
	allocator, err := structured.NewAllocator(ctx, features, state, classes{}, []*resourceapi.ResourceSlice{slice}, cel.NewCache(10, cel.Features{EnableConsumableCapacity: true}))
	if err != nil {
		s.t.Fatal(err)
	}
	node, _ := s.store.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	results, err := allocator.Allocate(ctx, node, []*resourceapi.ResourceClaim{claim})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(results) == 0 {
		return nil
	}
	claim.Status.Allocation = &results[0]
	claim.Status.ReservedFor = []resourceapi.ResourceClaimConsumerReference{{Resource: "pods", Name: "pod-" + name, UID: types.UID("uid-pod-" + name)}}
	if _, err := s.store.ResourceV1().ResourceClaims("team").Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	return claim
}

func podOf(claim *resourceapi.ResourceClaim) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod-" + claim.Name, Namespace: claim.Namespace, UID: types.UID("uid-pod-" + claim.Name)},
		Spec: v1.PodSpec{ResourceClaims: []v1.PodResourceClaim{{Name: "gpu", ResourceClaimName: &claim.Name}},
			Containers: []v1.Container{{Name: "main", Resources: v1.ResourceRequirements{Claims: []v1.ResourceClaim{{Name: "gpu"}}}}}}}
}

func (s *server) remove(claim *resourceapi.ResourceClaim) {
	s.store.ResourceV1().ResourceClaims(claim.Namespace).Delete(context.Background(), claim.Name, metav1.DeleteOptions{})
}

// prepare tries again as the kubelet does, for as long as the driver is being connected.
func (n *node) prepare(d *drivers, pod *v1.Pod) {
	n.t.Helper()
	var err error
	defer func() {
		if n.t.Failed() {
			n.t.Logf("%s: %v", pod.Name, err)
		}
	}()
	n.eventually("it is prepared", func() bool {
		err = d.manager.PrepareResources(context.Background(), pod)
		return err == nil
	})
}

func cdiOf(n *node, d *drivers, pod *v1.Pod) []string {
	info, err := d.manager.GetResources(pod, &pod.Spec.Containers[0])
	if err != nil {
		n.t.Fatal(err)
	}
	names := sets.New[string]()
	for _, device := range info.CDIDevices {
		names.Insert(device.Name)
	}
	return sets.List(names)
}

func TestSlice(t *testing.T) {
	n, s, _ := dranode(t)
	slice := s.published()
	if len(slice.Spec.Devices) != 2 || slice.OwnerReferences[0].UID != "node-uid" {
		t.Fatalf("%+v", slice)
	}
	memory := slice.Spec.Devices[0].Capacity["memory"].Value
	if memory.Value() != 8<<30 || *slice.Spec.Devices[0].Attributes["model"].StringValue != "Test GPU" {
		t.Errorf("%+v", slice.Spec.Devices[0])
	}
	// What somebody else has is not the scheduler's, whatever its name; what claims have is counted by itself.
	n.request("POST", "/v1/vgpus", `{"name": "claim-`+string(uidOf("x"))+`", "memory": "3G", "compute": "30", "device": "0"}`)
	wrote := s.wrote
	n.eventually("less is published", func() bool {
		capacity := s.published().Spec.Devices[0].Capacity
		memory, compute := capacity["memory"].Value, capacity["compute"].Value
		return memory.Value() == 5<<30 && compute.Value() == 70
	})
	if s.wrote != wrote+1 || s.published().Spec.Pool.Generation != 2 {
		t.Errorf("written %d times", s.wrote-wrote)
	}
	// Nothing is left: that is a taint, as no capacity can say it.
	n.request("POST", "/v1/vgpus", `{"name": "rest", "memory": "5G", "compute": "70", "device": "0"}`)
	n.eventually("it is full", func() bool {
		taints := s.published().Spec.Devices[0].Taints
		return len(taints) == 1 && taints[0].Key == "fastgpu.dev/full"
	})
	s.store.ResourceV1().ResourceSlices().Delete(context.Background(), slice.Name, metav1.DeleteOptions{})
	n.eventually("it is published again", func() bool { return s.published() != nil })
}

func TestClaim(t *testing.T) {
	n, s, d := dranode(t)
	ctx := context.Background()
	claim := s.claim("a", "2Gi", "25", 2, `device.attributes["fastgpu.dev"].model == "Test GPU" && device.capacity["fastgpu.dev"].memory.isGreaterThan(quantity("1Gi"))`)
	if claim == nil {
		t.Fatal("the scheduler finds none")
	}
	pod := podOf(claim)
	n.pods.add(pod)
	n.prepare(d, pod)
	names := cdiOf(n, d, pod)
	if len(names) != 1 || names[0] != "fastgpu.dev/vgpu=k8s-team:claim-"+string(uidOf("a")) || !n.cdi()[names[0]] {
		t.Errorf("%v, engines know %v", names, n.cdi())
	}
	if sets, _ := n.sets("k8s-team"); sets["claim-"+string(uidOf("a"))] != 2 {
		t.Errorf("%v", sets)
	}
	_, set, _ := n.request("GET", "/v1/vgpus/claim-"+string(uidOf("a"))+"?project=k8s-team", "")
	for _, v := range set["vgpus"].([]any) {
		if v := v.(map[string]any); v["memory"].(float64) != 2<<30 || v["share"].(float64) != 250 {
			t.Errorf("%v", v)
		}
	}
	// Whoever dies in between: it is there once.
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		end(&n.plugin, sig)
		n.startPlugin()
		d.close()
		*d = *n.startDrivers(s)
		n.prepare(d, pod)
		if again := cdiOf(n, d, pod); len(again) != 1 || again[0] != names[0] {
			t.Errorf("%v", again)
		}
	}
	n.pods.remove(pod)
	n.eventually("it is unprepared", func() bool { return d.manager.UnprepareResources(ctx, pod) == nil })
	if sets, _ := n.sets("k8s-team"); len(sets) != 0 {
		t.Errorf("%v is left", sets)
	}
	if err := d.manager.UnprepareResources(ctx, pod); err != nil {
		t.Errorf("twice: %v", err)
	}
}

// The scheduler shares GPUs out by what is published, to the last of it, and no further.
func TestFull(t *testing.T) {
	n, s, d := dranode(t)
	var claims []*resourceapi.ResourceClaim
	for i := 0; i < 9; i++ {
		claim := s.claim(fmt.Sprint("c", i), "2Gi", "20", 1, "")
		if claim == nil {
			break
		}
		n.prepare(d, podOf(claim))
		claims = append(claims, claim)
	}
	if len(claims) != 8 {
		t.Errorf("%d claims of 2 of 16 GB", len(claims))
	}
	for _, claim := range claims {
		if err := d.manager.UnprepareResources(context.Background(), podOf(claim)); err != nil {
			t.Error(err)
		}
		s.remove(claim)
	}
	whole := s.claim("whole", "", "", 1, "")
	if whole == nil {
		t.Fatal("no whole GPU")
	}
	n.prepare(d, podOf(whole))
	_, set, _ := n.request("GET", "/v1/vgpus/claim-"+string(uidOf("whole"))+"?project=k8s-team", "")
	if v := set["vgpus"].([]any)[0].(map[string]any); v["memory"].(float64) != 8<<30 || v["share"].(float64) != 1000 {
		t.Errorf("%v", v)
	}
}

// Who gives up while the API server thinks and has the claim unprepared finds no set of it later.
func TestGivenUp(t *testing.T) {
	n, s, _ := dranode(t)
	s.claim("a", "2Gi", "25", 1, "")
	connection, err := grpc.NewClient("unix://"+kubeletDir+"/plugins/fastgpu.dev/dra.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client, one := drapb.NewDRAPluginClient(connection), []*drapb.Claim{{Namespace: "team", Uid: string(uidOf("a")), Name: "a"}}
	s.be(time.Second, "")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.NodePrepareResources(ctx, &drapb.NodePrepareResourcesRequest{Claims: one}); err == nil {
		t.Error("it was prepared before it could be")
	}
	if _, err := client.NodeUnprepareResources(context.Background(), &drapb.NodeUnprepareResourcesRequest{Claims: one}); err != nil {
		t.Error(err)
	}
	time.Sleep(1500 * time.Millisecond)
	if sets, _ := n.sets("k8s-team"); len(sets) != 0 {
		t.Errorf("%v is left", sets)
	}
}

// What is wrong is said where people look for it: it comes into the pod's events.
func TestRefusals(t *testing.T) {
	n, s, d := dranode(t)
	ctx := context.Background()
	claim := s.claim("a", "2Gi", "25", 1, "")
	pod := podOf(claim)
	n.prepare(d, pod)
	n.eventually("it is unprepared", func() bool { return d.manager.UnprepareResources(ctx, pod) == nil })
	refused := func(what string, words ...string) {
		t.Helper()
		err := d.manager.PrepareResources(ctx, pod)
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v", what, err)
			}
		}
		d.manager.UnprepareResources(ctx, pod)
		if sets, _ := n.sets("k8s-team"); len(sets) != 0 {
			t.Errorf("%s: %v is left", what, sets)
		}
	}
	s.be(0, "{")
	refused("an API server that lies", "FastGPU", "no claim")
	s.be(0, `{"metadata": {"uid": "`+string(uidOf("a"))+`"}, "status": {"allocation": {"devices": {"results": [{"driver": "fastgpu.dev", "pool": "node-1", "device": "gpu-000000"}]}}}}`)
	refused("a device that is gone", "FastGPU", "gpu-000000", "not on this node any more")
	s.be(0, `{"metadata": {"uid": "uid-b"}}`)
	refused("another claim of this name", "FastGPU", "made anew")
	s.be(0, "")
	n.request("POST", "/v1/vgpus", `{"name": "other", "gpus": 2, "devices": ["0", "1"], "memory": "7G", "compute": "80"}`)
	refused("no room", "FastGPU", "does not fit")
	n.request("DELETE", "/v1/vgpus/other", "")
	s.http.CloseClientConnections()
	s.http.Listener.Close()
	refused("a dead API server", "FastGPU", "the API server at https://")
}

// The kubelet shows in a pod's status how its GPU does.
func TestHealth(t *testing.T) {
	n, s, d := dranode(t)
	pod := podOf(s.claim("a", "2Gi", "25", 1, ""))
	n.pods.add(pod)
	n.prepare(d, pod)
	is := func(wanted v1.ResourceHealthStatus, message string) func() bool {
		return func() bool {
			status := &v1.PodStatus{ContainerStatuses: []v1.ContainerStatus{{Name: "main"}}}
			d.manager.UpdateAllocatedResourcesStatus(logger(), pod, status)
			all := status.ContainerStatuses[0].AllocatedResourcesStatus
			if len(all) != 1 || len(all[0].Resources) != 1 || all[0].Resources[0].Health != wanted {
				return false
			}
			told := all[0].Resources[0].Message
			return message == "" || told != nil && *told == message
		}
	}
	n.eventually("it is healthy", is(v1.ResourceHealthStatusHealthy, ""))
	end(&n.daemon, syscall.SIGKILL)
	n.eventually("nobody knows", is(v1.ResourceHealthStatusUnknown, "fastgpud does not answer"))
	n.startDaemon()
	n.eventually("it is healthy again", is(v1.ResourceHealthStatusHealthy, ""))
	end(&n.plugin, syscall.SIGKILL)
	n.startPlugin()
	n.eventually("it is healthy to who starts anew", is(v1.ResourceHealthStatusHealthy, ""))
}

// fsync is what the disk takes for as much as a claim's transaction writes.
func (n *node) fsync() time.Duration {
	file, err := os.Create(filepath.Join(n.state, "fsync"))
	if err != nil {
		n.t.Fatal(err)
	}
	defer file.Close()
	const rounds = 100
	begin := time.Now()
	for i := 0; i < rounds; i++ {
		file.WriteAt(make([]byte, 8192), int64(i)*8192)
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			n.t.Fatal(err)
		}
	}
	return time.Since(begin) / rounds
}

func TestManyClaims(t *testing.T) {
	n, s, d := dranode(t)
	claim := s.claim("a", "1Mi", "1", 1, "")
	pod := podOf(claim)
	n.pods.add(pod) // the kubelet unprepares what is of no pod, once a minute
	n.prepare(d, pod)
	rounds := 200
	if os.Getenv("KUBERNETES_ROUNDS") != "" {
		rounds = 2000
	}
	connection, err := grpc.NewClient("unix://"+kubeletDir+"/plugins/fastgpu.dev/dra.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client, free := drapb.NewDRAPluginClient(connection), n.memoryFree()
	for i := 0; i < rounds; i++ {
		copied := claim.DeepCopy()
		copied.Name, copied.UID, copied.ResourceVersion = fmt.Sprint("m", i), uidOf(fmt.Sprint("m", i)), ""
		s.store.ResourceV1().ResourceClaims("team").Create(context.Background(), copied, metav1.CreateOptions{})
	}
	work := make(chan int)
	var group sync.WaitGroup
	var mutex sync.Mutex
	var prepared, unprepared time.Duration
	for range 20 {
		group.Go(func() {
			for i := range work {
				one := []*drapb.Claim{{Namespace: "team", Uid: string(uidOf(fmt.Sprint("m", i))), Name: fmt.Sprint("m", i)}}
				begin := time.Now()
				reply, err := client.NodePrepareResources(context.Background(), &drapb.NodePrepareResourcesRequest{Claims: one})
				if err != nil || reply.Claims[one[0].Uid].Error != "" || len(reply.Claims[one[0].Uid].Devices) != 1 {
					t.Errorf("%v: %v", reply, err)
				}
				middle := time.Now()
				undone, err := client.NodeUnprepareResources(context.Background(), &drapb.NodeUnprepareResourcesRequest{Claims: one})
				if err != nil || undone.Claims[one[0].Uid].Error != "" {
					t.Errorf("%v: %v", undone, err)
				}
				mutex.Lock()
				prepared += middle.Sub(begin)
				unprepared += time.Since(middle)
				mutex.Unlock()
			}
		})
	}
	begin, used, daemonUsed := time.Now(), processor(n.plugin.Process.Pid), processor(n.daemon.Process.Pid)
	for i := range rounds {
		work <- i
	}
	close(work)
	group.Wait()
	took := time.Since(begin)
	t.Logf("%d claims, 20 at once: %s each, where the disk takes %s for two transactions that do nothing else; with 20 waiting, prepared within %s and unprepared within %s on average; processor: %s each, the daemon %s; resident: %s KiB, the daemon %s KiB", rounds,
		(took / time.Duration(rounds)).Round(time.Microsecond), (2 * n.fsync()).Round(time.Microsecond), (prepared / time.Duration(rounds)).Round(time.Microsecond),
		(unprepared / time.Duration(rounds)).Round(time.Microsecond), (processor(n.plugin.Process.Pid)-used)/time.Duration(rounds),
		(processor(n.daemon.Process.Pid)-daemonUsed)/time.Duration(rounds), resident(n.plugin.Process.Pid), resident(n.daemon.Process.Pid))
	if n.memoryFree() != free {
		t.Error("not everything was given back")
	}
}
