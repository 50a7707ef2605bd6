// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	admissionvalidation "k8s.io/kubernetes/pkg/apis/admissionregistration/validation"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
	"k8s.io/kubernetes/pkg/apis/resource"
	resourcevalidation "k8s.io/kubernetes/pkg/apis/resource/validation"
	"k8s.io/kubernetes/pkg/features"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// The manifests are judged by what an API server judges them by: its strict decoder, its defaults, its validation.

func manifests() string { return filepath.Join(os.Getenv("FASTGPU_SOURCE"), "packaging/kubernetes") }

func validate(object runtime.Object) (errs field.ErrorList, known bool) {
	switch o := object.(type) {
	case *apps.DaemonSet:
		return appsvalidation.ValidateDaemonSet(o, corevalidation.PodValidationOptions{}), true
	case *batch.CronJob:
		return batchvalidation.ValidateCronJobCreate(o, corevalidation.PodValidationOptions{}), true
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o), true
	case *core.PersistentVolumeClaim:
		return corevalidation.ValidatePersistentVolumeClaim(o, corevalidation.PersistentVolumeClaimSpecValidationOptions{}), true
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o), true
	case *core.Namespace:
		return corevalidation.ValidateNamespace(o), true
	case *core.Pod:
		return corevalidation.ValidatePodCreate(o, corevalidation.PodValidationOptions{}), true
	case *rbac.ClusterRole:
		return rbacvalidation.ValidateClusterRole(o, rbacvalidation.ClusterRoleValidationOptions{}), true
	case *rbac.ClusterRoleBinding:
		return rbacvalidation.ValidateClusterRoleBinding(o), true
	case *rbac.Role:
		return rbacvalidation.ValidateRole(o), true
	case *rbac.RoleBinding:
		return rbacvalidation.ValidateRoleBinding(o), true
	case *resource.DeviceClass:
		return resourcevalidation.ValidateDeviceClass(o), true
	case *resource.ResourceClaimTemplate:
		return resourcevalidation.ValidateResourceClaimTemplate(o), true
	case *admissionregistration.ValidatingAdmissionPolicy:
		return admissionvalidation.ValidateValidatingAdmissionPolicy(o), true
	case *admissionregistration.ValidatingAdmissionPolicyBinding:
		return admissionvalidation.ValidateValidatingAdmissionPolicyBinding(o), true
	}
	return nil, false
}

// judge says what is wrong with a file of manifests, and gives its objects.
func judge(text string) (objects []runtime.Object, err error) {
	decoder := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for i, part := range strings.Split("\n"+text, "\n---\n") {
		if !strings.Contains(part, "kind:") {
			continue
		}
		object, _, err := decoder.Decode([]byte(part), nil, nil)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", i, err)
		}
		// What kubectl does for who names no namespace.
		switch o := object.(type) {
		case *v1.Pod:
			o.Namespace = "default"
		case *resourceapi.ResourceClaimTemplate:
			o.Namespace = "default"
		}
		legacyscheme.Scheme.Default(object)
		internal, err := legacyscheme.Scheme.ConvertToVersion(object, runtime.InternalGroupVersioner)
		if err != nil {
			return nil, err
		}
		errs, known := validate(internal)
		if !known {
			return nil, fmt.Errorf("part %d: nobody here knows a %T", i, internal)
		}
		if err := errs.ToAggregate(); err != nil {
			return nil, fmt.Errorf("part %d: %T: %w", i, internal, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestManifests(t *testing.T) {
	if !utilfeature.DefaultFeatureGate.Enabled(features.DRAConsumableCapacity) {
		t.Error("this Kubernetes has no consumable capacity by default")
	}
	for name, count := range map[string]int{"fastgpu.yaml": 12, "examples/slice.yaml": 1, "examples/claim.yaml": 2, "examples/sites.yaml": 6, "examples/sites-cluster-api.yaml": 2} {
		objects, err := judge(read(t, name))
		if err != nil || len(objects) != count {
			t.Errorf("%s: %d objects, %v", name, len(objects), err)
		}
	}
}

func TestJudgeSees(t *testing.T) {
	plain := read(t, "fastgpu.yaml")
	for _, wrong := range [][2]string{{"kind: DaemonSet", "kind: DaemonSett"}, {"hostPath:", "hostPth:"}, {"runAsUser: 0", "runAsUser: -1"},
		{`device.driver == "fastgpu.dev"`, `device.drivr == "fastgpu.dev"`}, {"!variables.ours", "!variables.our"}, {"verbs: [get]", "verbs: []"}} {
		if !strings.Contains(plain, wrong[0]) {
			t.Errorf("%q is not there", wrong[0])
		}
		if _, err := judge(strings.Replace(plain, wrong[0], wrong[1], 1)); err == nil {
			t.Errorf("%q is not seen", wrong[1])
		}
	}
}

// The examples ask for what the manifests offer.
func TestNamesAgree(t *testing.T) {
	objects, _ := judge(read(t, "fastgpu.yaml") + "---\n" + read(t, "examples/slice.yaml") + "---\n" + read(t, "examples/claim.yaml"))
	classes, offered := map[string]bool{}, ""
	for _, object := range objects {
		switch o := object.(type) {
		case *resourceapi.DeviceClass:
			classes[o.Name] = true
		case *appsv1.DaemonSet:
			offered = strings.ToLower(strings.Join(o.Spec.Template.Spec.Containers[0].Command, " "))
		case *v1.Pod:
			for name := range o.Spec.Containers[0].Resources.Limits {
				class := strings.Replace(strings.TrimPrefix(string(name), "fastgpu.dev/vgpu-"), "-", ":", 1)
				if !strings.Contains(offered, "--class="+class) {
					t.Errorf("%s is not offered", name)
				}
			}
		case *resourceapi.ResourceClaimTemplate:
			if name := o.Spec.Spec.Devices.Requests[0].Exactly.DeviceClassName; !classes[name] {
				t.Errorf("there is no class %s", name)
			}
		}
	}
}
