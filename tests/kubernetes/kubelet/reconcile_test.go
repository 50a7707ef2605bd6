// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	v1 "k8s.io/api/core/v1"
	drapb "k8s.io/kubelet/pkg/apis/dra/v1"
	draplugin "k8s.io/kubernetes/pkg/kubelet/cm/dra/plugin"
)

// bound is no goal: machines that test are busy. What it takes is printed.
const bound = 10 * time.Second

// spread is how long something took, each time.
type spread struct {
	within [4]int
	worst  time.Duration
	why    string
}

var limit = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}

func (s *spread) add(took time.Duration, why string) {
	at := slices.IndexFunc(limit, func(most time.Duration) bool { return took <= most })
	if at < 0 {
		at = len(limit)
	}
	s.within[at]++
	if took > s.worst {
		s.worst, s.why = took, why
	}
}

func (s *spread) String() string {
	return fmt.Sprintf("<= 0.5 s %d, <= 1 s %d, <= 2 s %d, more %d; worst %s, after %s", s.within[0], s.within[1], s.within[2], s.within[3], s.worst.Round(time.Millisecond), s.why)
}

// part is something that is as it should be, or not yet.
type part struct {
	name string
	is   func() bool
	at   time.Duration // of the last time that it was not, since what was stopped was started again
}

// reconciled waits until all is as it should be, and tells when it was: what is ours, the way by which the kubelet reaches the DRA driver, and all.
//
// Ours: sockets, both classes (which the kubelet knows as soon as we register), sets, claims, the slice. The kubelet's: it looks for DRA drivers' sockets
// once a second, takes one that was made anew off its list in one such look and on in another, and waits a second and more after a connection that
// failed. A DRA manager that starts removes the slice, as late as the API server lets it, and we are told by that registration: the slice is then late from
// there on.
func (n *random) reconciled() (ours, kubelets, all time.Duration) {
	driver := &part{name: "the kubelet reaches the DRA driver", is: n.reachesDriver}
	slice := &part{name: "a slice is published", is: func() bool { return n.server.published() != nil }}
	parts := []*part{{name: "sockets", is: n.hasSockets}, {name: "both classes are known", is: n.knowsClasses},
		{name: "the daemon has what the pods have", is: n.hasSets}, {name: "claims are answered", is: n.answersClaims}, slice, driver}
	for calm := false; !calm; time.Sleep(20 * time.Millisecond) {
		calm = n.all(parts)
	}
	for _, p := range parts {
		took := p.at
		all = max(all, took)
		if p == slice {
			from := n.server.wipedAt().Sub(n.since)
			if n.wiped {
				from = max(from, driver.at)
			}
			took -= min(took, max(0, from))
		}
		if p == driver {
			kubelets = took
		} else {
			ours = max(ours, took)
		}
	}
	if all > goal {
		for _, p := range parts {
			n.t.Logf("  %s: %s", p.name, p.at.Round(time.Millisecond))
		}
	}
	return ours, kubelets, all
}

// all waits for each of them beside the others, and tells whether none was to be waited for.
func (n *random) all(parts []*part) bool {
	var group sync.WaitGroup
	var waited atomic.Bool
	for _, p := range parts {
		group.Go(func() {
			for !p.is() && time.Since(n.since) < patience {
				waited.Store(true)
				time.Sleep(10 * time.Millisecond)
				p.at = time.Since(n.since)
			}
		})
	}
	group.Wait()
	for _, p := range parts {
		if p.at >= patience {
			n.t.Fatalf("not within %s: %s", patience, p.name)
		}
	}
	return !waited.Load()
}

func (n *random) hasSockets() bool {
	for pattern, count := range map[string]int{pluginDir + "/fastgpu-*.sock": 2, kubeletDir + "/plugins_registry/*.sock": 1, kubeletDir + "/plugins/*/*.sock": 1} {
		if found, _ := filepath.Glob(pattern); len(found) < count {
			return false
		}
	}
	return true
}

// knowsClasses: the kubelet has both, even where nothing is left to give.
func (n *random) knowsClasses() bool {
	capacity, allocatable, _ := n.kube.manager.GetCapacity(logger())
	total := int64(0)
	for _, name := range []string{small, large} {
		quantity := capacity[v1.ResourceName(name)]
		if quantity.Value() == 0 {
			return false
		}
		quantity = allocatable[v1.ResourceName(name)]
		total += quantity.Value()
	}
	return total > 0
}

func (n *random) hasSets() bool {
	found, err := n.sets("kubernetes")
	return err == nil && hasExactly(found, n.live) && n.hasClaims()
}

// hasClaims: the daemon has those of all claims, and no others.
func (n *random) hasClaims() bool {
	claimed, err := n.sets("k8s-team")
	for _, claim := range n.claims {
		if claimed["claim-"+string(claim.UID)] != 1 {
			return false
		}
	}
	return err == nil && len(claimed) == len(n.claims)
}

// answersClaims asks fastgpu-kubelet itself for all that are prepared. What the daemon has lost it would make anew, so that is looked at before.
func (n *random) answersClaims() bool {
	if !n.hasClaims() {
		return false
	}
	connection, err := grpc.NewClient("unix://"+kubeletDir+"/plugins/fastgpu.dev/dra.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return false
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	request := &drapb.NodePrepareResourcesRequest{}
	for _, claim := range n.claims {
		request.Claims = append(request.Claims, &drapb.Claim{Namespace: claim.Namespace, Name: claim.Name, Uid: string(claim.UID)})
	}
	reply, err := drapb.NewDRAPluginClient(connection).NodePrepareResources(ctx, request)
	if err != nil {
		return false
	}
	for _, claim := range request.Claims {
		if got := reply.Claims[claim.Uid]; got == nil || got.Error != "" || len(got.Devices) != 1 {
			return false
		}
	}
	return true
}

// reachesDriver asks for nothing, over the kubelet's own connection.
func (n *random) reachesDriver() bool {
	plugin, err := n.drivers.manager.GetWatcherHandler().(*draplugin.DRAPluginManager).GetPlugin("fastgpu.dev")
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	_, err = plugin.NodePrepareResources(ctx, &drapb.NodePrepareResourcesRequest{})
	return err == nil
}
