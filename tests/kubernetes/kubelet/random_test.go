// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
)

const (
	claimsMax = 4 // of a tenth of a GPU each: pods with devices find room beside them
	goal      = 2 * time.Second
	slow      = 300 * time.Millisecond // of the API server, for each answer
)

// random is a node with all its parts, and what is on it.
type random struct {
	*node
	*rand.Rand
	server  *server
	drivers *drivers
	live    map[*v1.Pod][]string
	claims  map[*v1.Pod]*resourceapi.ResourceClaim
	made    int
	since   time.Time // when the last of what a disturbance had stopped was started again
	wiped   bool      // its DRA manager was among them, which removes the slice
}

// The kubelet (its device manager, its DRA manager) and its folder, the API server, fastgpu-kubelet and the daemon come and go at random while
// pods with devices and with claims do.
func TestRandom(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("KUBERNETES_ROUNDS"))
	seed, _ := strconv.ParseInt(os.Getenv("KUBERNETES_SEED"), 10, 64)
	if rounds == 0 {
		rounds = 40
	}
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	t.Logf("KUBERNETES_ROUNDS=%d KUBERNETES_SEED=%d", rounds, seed)
	n := newRandom(t, seed)
	free := n.memoryFree()
	admitted, refused := 0, 0
	var ours, kubelets, all, changed, claims spread
	for round := 0; round < rounds; round++ {
		did := n.disturb()
		mine, its, both := n.reconciled()
		ours.add(mine, did)
		kubelets.add(its, did)
		all.add(both, did)
		if mine > goal {
			t.Logf("round %d, after %s: ours within %s, all within %s", round, did, mine.Round(time.Millisecond), both.Round(time.Millisecond))
		}
		for i := n.Intn(4); i > 0; i-- {
			if n.change() {
				admitted++
			} else {
				refused++
			}
		}
		took := n.settled(n.live)
		changed.add(took, did)
		claims.add(n.changeClaims(), did)
		if mine > bound || took > bound {
			t.Errorf("not within %s: ours %s, what pods had %s", bound, mine, took)
		}
		n.server.be(0, "")
		n.check(did)
		if t.Failed() {
			t.Fatalf("in round %d, after %s", round, did)
		}
	}
	for pod := range n.live {
		n.pods.remove(pod)
	}
	for pod := range n.claims {
		n.endClaim(pod)
	}
	n.settled(nil)
	if n.memoryFree() != free {
		t.Error("not everything was given back")
	}
	t.Logf("%d pods admitted, %d refused or ended, %d claims prepared; resident: %s KiB, the daemon %s KiB",
		admitted, refused, n.made, resident(n.plugin.Process.Pid), resident(n.daemon.Process.Pid))
	t.Logf("after the last that was stopped is started again: ours %s", &ours)
	t.Logf("the kubelet reaches the DRA driver again: %s", &kubelets)
	t.Logf("all of it: %s", &all)
	t.Logf("after pods came and went: what they had is given back %s", &changed)
	t.Logf("then new claims are prepared, as the kubelet tries again: %s", &claims)
}

func newRandom(t *testing.T, seed int64) *random {
	s := newServer(t)
	n := &random{node: newNode(t, `2x"Test GPU":8G`, append(s.args(), "--class=1G:10", "--class=4G:50", "--verbose")...), Rand: rand.New(rand.NewSource(seed)),
		server: s, live: map[*v1.Pod][]string{}, claims: map[*v1.Pod]*resourceapi.ResourceClaim{}}
	n.startKubelet()
	n.drivers = n.startDrivers(s)
	t.Cleanup(func() { n.drivers.close() })
	n.startPlugin()
	n.ready()
	return n
}

func (n *random) restartDrivers() {
	n.drivers.close()
	n.wiped = true
	n.last()
	n.drivers = n.startDrivers(n.server)
}

func (n *random) sleep(most int) { time.Sleep(time.Duration(n.Intn(most)) * time.Millisecond) }

// disturb stops some of them and starts them again; a pod may end meanwhile, of which nobody tells us. The time is taken when the last is to start.
func (n *random) disturb() string {
	n.wiped = false
	if n.Intn(2) == 0 {
		n.endPod()
	}
	switch n.Intn(12) {
	case 0:
		n.kube.stop()
		n.last()
		n.startKubelet()
		return "a restart of the kubelet"
	case 1:
		n.pods.hide(true)
		n.restartKubelet()
		n.sleep(1500)
		n.last()
		n.pods.hide(false)
		return "a restart of the kubelet, whose pods came late"
	case 2:
		end(&n.plugin, syscall.SIGKILL)
		n.last()
		n.startPlugin()
		return "fastgpu-kubelet's death"
	case 3:
		end(&n.plugin, syscall.SIGTERM)
		n.sleep(300)
		n.last()
		n.startPlugin()
		return "fastgpu-kubelet's end"
	case 4:
		n.last()
		for _, pattern := range []string{pluginDir + "/fastgpu-*.sock", kubeletDir + "/plugins_registry/*.sock", kubeletDir + "/plugins/*/*.sock"} {
			sockets, _ := filepath.Glob(pattern)
			for _, path := range sockets {
				os.Remove(path)
			}
		}
		return "wiped folders"
	case 5:
		end(&n.daemon, syscall.SIGKILL)
		n.last()
		n.startDaemon()
		return "the daemon's death"
	case 6:
		n.restartDrivers()
		return "a restart of the kubelet's DRA manager"
	case 7:
		n.server.stop()
		n.sleep(1000)
		n.last()
		n.server.start()
		return "a restart of the API server"
	case 8:
		end(&n.plugin, syscall.SIGKILL)
		n.server.stop()
		n.restartDrivers()
		n.startPlugin()
		n.sleep(2500) // the DRA manager may have us before the API server does
		n.last()
		n.server.start()
		return "the death of all who prepare claims"
	case 9:
		n.server.be(slow, "")
		n.restartDrivers()
		return "a restart of the kubelet's DRA manager, the API server being slow"
	case 10:
		n.server.be(slow, "")
		end(&n.plugin, syscall.SIGKILL)
		n.last()
		n.startPlugin()
		return "fastgpu-kubelet's death, the API server being slow"
	default:
		end(&n.plugin, syscall.SIGKILL)
		n.kube.stop()
		n.last()
		n.startKubelet()
		n.startPlugin()
		return "the death of both"
	}
}

func (n *random) last() { n.since = time.Now() }

func (n *random) endPod() {
	for pod := range n.live {
		n.pods.remove(pod)
		delete(n.live, pod)
		return
	}
}

// change ends a pod or starts one.
func (n *random) change() bool {
	if len(n.live) > 0 && n.Intn(2) == 0 {
		n.endPod()
		return false
	}
	name, count := small, 1+n.Intn(3)
	if n.Intn(3) == 0 {
		name, count = large, 1
	}
	pod := n.pods.make("team", name, count)
	names, err := n.admit(pod)
	if err != nil {
		return false
	}
	if len(names) != 1 {
		n.t.Errorf("%s has %v", pod.Name, names)
	}
	n.live[pod] = names
	return true
}

// changeClaims ends some pods with claims and starts others, these all at once, and tells how long these took.
func (n *random) changeClaims() time.Duration {
	for pod := range n.claims {
		if n.Intn(2) == 0 {
			n.endClaim(pod)
		}
	}
	var starting []*v1.Pod
	begin := time.Now()
	for i := n.Intn(claimsMax + 1 - len(n.claims)); i > 0; i-- {
		n.made++
		var claim *resourceapi.ResourceClaim
		n.eventually("a slice is published", func() bool { return n.server.published() != nil })
		if claim = n.server.claim(fmt.Sprint("random-", n.made), "1Gi", "10", 1, ""); claim == nil {
			continue // pods with devices have it all
		}
		pod := podOf(claim)
		n.pods.add(pod)
		n.claims[pod] = claim
		starting = append(starting, pod)
	}
	errors := make([]error, len(starting))
	var group sync.WaitGroup
	for i, pod := range starting {
		group.Go(func() { errors[i] = n.tryPrepare(pod) })
	}
	group.Wait()
	took := time.Since(begin)
	for i, err := range errors {
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), "does not fit") { // of which the slice does not tell yet
			n.t.Errorf("%s: %v", starting[i].Name, err)
		}
		n.endClaim(starting[i])
	}
	return took
}

// tryPrepare goes on as the kubelet does until it is prepared, or there is no room.
func (n *random) tryPrepare(pod *v1.Pod) (err error) {
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		if err = n.drivers.manager.PrepareResources(context.Background(), pod); err == nil || strings.Contains(err.Error(), "does not fit") {
			break
		}
	}
	return err
}

func (n *random) endClaim(pod *v1.Pod) {
	n.eventually("it is unprepared", func() bool { return n.drivers.manager.UnprepareResources(context.Background(), pod) == nil })
	n.pods.remove(pod)
	n.server.remove(n.claims[pod])
	delete(n.claims, pod)
}

// check looks for what two pods have, and for what is not as large as was asked.
func (n *random) check(did string) {
	owner := map[string]string{}
	sets, _ := n.sets("kubernetes")
	for pod, names := range n.live {
		for _, name := range names {
			if other, taken := owner[name]; taken {
				n.t.Errorf("%s and %s have %s", pod.Name, other, name)
			}
			owner[name] = pod.Name
			for _, quantity := range pod.Spec.Containers[0].Resources.Limits {
				if int64(sets[set(name)]) != quantity.Value() {
					n.t.Errorf("%s of %s has %d vGPUs, not %d, after %s", name, pod.Name, sets[set(name)], quantity.Value(), did)
				}
			}
		}
	}
	claimed, err := n.sets("k8s-team")
	if err != nil || len(claimed) != len(n.claims) {
		n.t.Errorf("%d claims are prepared, and the daemon has %v (%v), after %s", len(n.claims), claimed, err, did)
	}
	for pod, claim := range n.claims {
		name := "claim-" + string(claim.UID)
		if got := cdiOf(n.node, n.drivers, pod); claimed[name] != 1 || len(got) != 1 || got[0] != "fastgpu.dev/vgpu=k8s-team:"+name {
			n.t.Errorf("%s has %v and %d vGPUs, after %s", pod.Name, got, claimed[name], did)
		}
	}
}
