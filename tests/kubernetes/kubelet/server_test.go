// SPDX-License-Identifier: Apache-2.0
package kubelet

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/resource"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

// server is as much of an API server as a DRA driver sees, over TLS and with a token. What is written is read strictly and judged by the API
// server's own validation; what the kubelet and the scheduler use is the same store.
type server struct {
	sync.Mutex
	t       *testing.T
	http    *httptest.Server
	store   *fake.Clientset
	folder  string
	delay   time.Duration
	broken  string // what it answers instead
	away    bool
	wiped   time.Time // when a kubelet had the slice removed
	version int
	wrote   int
}

const (
	nodeName  = "node-1"
	sliceName = nodeName + "-fastgpu.dev"
)

func newServer(t *testing.T) *server {
	s := &server{t: t, folder: t.TempDir(), version: 1}
	s.store = fake.NewClientset(&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, UID: "node-uid"}})
	s.store.PrependReactor("delete-collection", "resourceslices", s.wipe) // which it does not know
	s.http = httptest.NewTLSServer(s)
	t.Cleanup(func() { s.http.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	os.WriteFile(filepath.Join(s.folder, "ca"), ca, 0600)
	os.WriteFile(filepath.Join(s.folder, "token"), []byte("secret\n"), 0600)
	return s
}

func (s *server) args() []string {
	return []string{"--dra", "--node=" + nodeName, "--api-server=" + s.http.URL, "--ca=" + filepath.Join(s.folder, "ca"),
		"--token-file=" + filepath.Join(s.folder, "token")}
}

// wipe is what a kubelet that starts asks for, and again a second later, two, four and so on, for as long as there is no answer.
func (s *server) wipe(clienttesting.Action) (bool, runtime.Object, error) {
	s.Lock()
	defer s.Unlock()
	if s.away {
		return true, nil, apierrors.NewServiceUnavailable("away")
	}
	s.wiped = time.Now()
	err := s.store.Tracker().Delete(resourceapi.SchemeGroupVersion.WithResource("resourceslices"), "", sliceName)
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return true, nil, err
}

func (s *server) wipedAt() time.Time {
	s.Lock()
	defer s.Unlock()
	return s.wiped
}

func (s *server) isAway(away bool) {
	s.Lock()
	defer s.Unlock()
	s.away = away
}

func (s *server) stop() {
	s.isAway(true)
	s.http.CloseClientConnections()
	s.http.Close()
}

// start has it come back at the same address, with the same store and certificate.
func (s *server) start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.http.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Listener.Close()
	s.http.Listener = listener
	s.http.StartTLS()
	s.isAway(false)
}

func (s *server) be(delay time.Duration, broken string) {
	s.Lock()
	defer s.Unlock()
	s.delay, s.broken = delay, broken
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	delay, broken := s.delay, s.broken
	s.Unlock()
	time.Sleep(delay)
	if broken != "" {
		io.WriteString(w, broken)
		return
	}
	if r.Header.Get("Authorization") != "Bearer secret" {
		s.answer(w, nil, apierrors.NewUnauthorized("no"))
		return
	}
	object, err := s.handle(r)
	s.answer(w, object, err)
}

func (s *server) answer(w http.ResponseWriter, object any, err error) {
	code := http.StatusOK
	if err != nil {
		status := apierrors.APIStatus(apierrors.NewInternalError(err))
		if known, ok := err.(apierrors.APIStatus); ok {
			status = known
		}
		answer := status.Status()
		object, code = &answer, int(answer.Code)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(object)
}

func (s *server) handle(r *http.Request) (any, error) {
	ctx, part := r.Context(), strings.Split(r.URL.Path, "/")
	get := metav1.GetOptions{}
	switch {
	case r.Method == "GET" && strings.HasPrefix(r.URL.Path, "/api/v1/nodes/"):
		return s.store.CoreV1().Nodes().Get(ctx, part[4], get)
	case strings.HasPrefix(r.URL.Path, "/apis/resource.k8s.io/v1/namespaces/") && r.Method == "GET" && part[6] == "resourceclaims":
		return s.store.ResourceV1().ResourceClaims(part[5]).Get(ctx, part[7], get)
	case strings.HasPrefix(r.URL.Path, "/apis/resource.k8s.io/v1/namespaces/") && r.Method == "PATCH" && part[6] == "resourceclaims" && part[8] == "status":
		claim, err := s.store.ResourceV1().ResourceClaims(part[5]).Get(ctx, part[7], get)
		if err != nil {
			return nil, err
		}
		if err := s.condition(r, claim.DeepCopy()); err != nil {
			s.t.Errorf("the status is not valid: %v", err)
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return claim, nil
	case strings.HasPrefix(r.URL.Path, "/apis/resource.k8s.io/v1/resourceslices"):
		slices := s.store.ResourceV1().ResourceSlices()
		if r.Method == "GET" {
			return slices.Get(ctx, part[5], get)
		}
		slice, err := s.slice(r)
		if err != nil {
			s.t.Errorf("a ResourceSlice that is none: %v", err)
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return s.write(ctx, r.Method, slice)
	}
	s.t.Errorf("the role does not allow %s %s", r.Method, r.URL.Path)
	return nil, apierrors.NewForbidden(resourceapi.Resource("x"), r.URL.Path, nil)
}

func (s *server) write(ctx context.Context, method string, slice *resourceapi.ResourceSlice) (any, error) {
	s.Lock()
	defer s.Unlock()
	slices := s.store.ResourceV1().ResourceSlices()
	old, err := slices.Get(ctx, slice.Name, metav1.GetOptions{})
	s.wrote++
	s.version++
	if method == "POST" {
		slice.ResourceVersion = strconv.Itoa(s.version)
		return slices.Create(ctx, slice, metav1.CreateOptions{})
	}
	if err != nil {
		return nil, err
	}
	if slice.ResourceVersion != old.ResourceVersion {
		return nil, apierrors.NewConflict(resourceapi.Resource("resourceslices"), slice.Name, nil)
	}
	if err := validation.ValidateResourceSliceUpdate(internal(slice), internal(old)).ToAggregate(); err != nil {
		s.t.Errorf("the update is not valid: %v", err)
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if slice.Spec.Pool.Generation <= old.Spec.Pool.Generation {
		s.t.Error("the pool's generation stays")
	}
	slice.ResourceVersion = strconv.Itoa(s.version)
	return slices.Update(ctx, slice, metav1.UpdateOptions{})
}

// condition judges what is applied to a claim, and leaves the claim as it is.
func (s *server) condition(r *http.Request, claim *resourceapi.ResourceClaim) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	applied, was, is := &resourceapi.ResourceClaim{}, &resource.ResourceClaim{}, &resource.ResourceClaim{}
	if err := decoder.Decode(applied); err != nil {
		return err
	}
	if applied.UID != claim.UID {
		return nil
	}
	claim.ResourceVersion = "1" // the store gives none
	if err := legacyscheme.Scheme.Convert(claim.DeepCopy(), was, nil); err != nil {
		return err
	}
	claim.Status.Devices = applied.Status.Devices
	if err := legacyscheme.Scheme.Convert(claim, is, nil); err != nil {
		return err
	}
	return validation.ValidateResourceClaimStatusUpdate(is, was).ToAggregate()
}

func internal(slice *resourceapi.ResourceSlice) *resource.ResourceSlice {
	converted := &resource.ResourceSlice{}
	if err := legacyscheme.Scheme.Convert(slice.DeepCopy(), converted, nil); err != nil {
		panic(err)
	}
	return converted
}

func (s *server) slice(r *http.Request) (*resourceapi.ResourceSlice, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	slice := &resourceapi.ResourceSlice{}
	if err := decoder.Decode(slice); err != nil {
		return nil, err
	}
	legacyscheme.Scheme.Default(slice)
	if err := validation.ValidateResourceSlice(internal(slice)).ToAggregate(); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	return slice, nil
}

func (s *server) published() *resourceapi.ResourceSlice {
	slice, err := s.store.ResourceV1().ResourceSlices().Get(context.Background(), sliceName, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return slice
}
