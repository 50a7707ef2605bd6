// SPDX-License-Identifier: Apache-2.0

// Command components is the control plane of Kubernetes in one program, as no registry has its parts built: the API server, the scheduler, and of
// the controllers the one that makes claims of templates and ends them with their pods.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/klog/v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/pkg/controller/resourceclaim"
)

func controllers(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	factory := informers.NewSharedInformerFactory(client, 0)
	claims, err := resourceclaim.NewController(klog.FromContext(ctx), client, factory.Core().V1().Pods(), factory.Scheduling().V1beta1().PodGroups(),
		factory.Resource().V1().ResourceClaims(), factory.Resource().V1().ResourceClaimTemplates())
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	claims.Run(ctx, 2)
	return nil
}

func main() {
	const usage = "usage: components apiserver|scheduler OPTIONS, or components controllers KUBECONFIG"
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	part := os.Args[1]
	os.Args = os.Args[1:]
	switch part {
	case "apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "controllers":
		fmt.Fprintln(os.Stderr, controllers(os.Args[1]))
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, usage)
	os.Exit(2)
}
