/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/session.h"

#include "shim/opencl/device.h"
#include "shim/opencl/environment.h"
#include "shim/opencl/locate.h"
#include "shim/opencl/locks.h"
#include "shim/opencl/queue.h"
#include "shim/opencl/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum state {
        STATE_NEW,
        STATE_ATTACHED, /* the pages are here, the physical devices are still to be found */
        STATE_READY,
        STATE_REFUSED,
};

static const struct fg_gate_ops session_gate_ops = {.mark_all = fgo_work_mark_all};

/* Everything below is written under the lock; `state` is read without it. */
static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t session_state;
static struct fg_session session_pages;
static struct fgo_session session_view;

uint32_t fgo_generation;

static void session_refuse(const char *why, int error)
{
        fg_store_release(&session_state, STATE_REFUSED);
        fprintf(stderr, "fastgpu: no vGPU for process %d: %s%s%s\n", (int)getpid(), why, error ? ": " : "",
                error ? strerror(-error) : "");
}

static void session_attach(void)
{
        const char *path = fg_session_path();
        int r;

        if (!path) {
                session_refuse(FG_ATTACH_ENV " is not set; start the program with `fastgpu run`", 0);
                return;
        }
        r = fg_session_open(path, FG_API_OPENCL, &session_pages);
        if (r < 0) {
                session_refuse("cannot attach to fastgpud", r);
                return;
        }
        fg_store_release(&session_state, STATE_ATTACHED);
}

/* A forked child's vGPUs must be those that it inherited objects of. */
static bool session_same(const struct fgo_session *view, const struct fg_session *pages)
{
        if (view->count != pages->count)
                return false;
        for (uint32_t i = 0; i < view->count; i++)
                if (strncmp(view->vgpu[i].name, pages->vgpu[i].ledger.limits->name, FG_NAME_MAX) != 0)
                        return false;
        return true;
}

static int session_open_gates(void)
{
        for (uint32_t i = 0; i < session_view.count; i++) {
                struct fgo_vgpu *vgpu = &session_view.vgpu[i];
                struct fg_gate *gate = fg_gate_new(&session_pages.vgpu[i], &session_gate_ops, vgpu);
                if (!gate)
                        return -ENOMEM;
                fg_store_release(&vgpu->session, &session_pages.vgpu[i]);
                fg_store_release(&vgpu->gate, gate);
        }
        return 0;
}

/* The pages stay mapped whatever comes of it: another thread may be reading them.
 * `found` becomes the view, unless another thread was faster or a view was inherited. */
static void session_publish(struct fgo_session *found, int error)
{
        if (session_state != STATE_ATTACHED)
                return;
        if (!session_view.vgpu && error == 0) {
                session_view = *found;
                found->vgpu = NULL;
                fgo_devices_register(&session_view);
        }
        if (error < 0)
                session_refuse(error == -ENODEV ? "its physical device is not here" : "cannot look for the devices", 0);
        else if (!session_same(&session_view, &session_pages))
                session_refuse("the forked process was given other vGPUs than its parent", 0);
        else if (session_open_gates() < 0)
                session_refuse("out of memory", 0);
        else
                fg_store_release(&session_state, STATE_READY);
}

static void session_make(void)
{
        struct fgo_session found = {0};
        bool attached, known;
        int r = 0;

        pthread_mutex_lock(&session_lock);
        if (session_state == STATE_NEW)
                session_attach();
        attached = session_state == STATE_ATTACHED;
        known = session_view.vgpu != NULL;
        pthread_mutex_unlock(&session_lock);
        if (!attached)
                return;
        fgo_environment_restore();
        /* Asks the driver, so without the lock; two threads may do it, and the first result stays. */
        if (!known)
                r = fgo_locate(&session_pages, &found);
        pthread_mutex_lock(&session_lock);
        session_publish(&found, r);
        pthread_mutex_unlock(&session_lock);
        free(found.vgpu);
}

const struct fgo_session *fgo_session_get(void)
{
        uint32_t state = fg_load_acquire(&session_state);

        if (state != STATE_READY && state != STATE_REFUSED) {
                session_make();
                state = fg_load_acquire(&session_state);
        }
        return state == STATE_READY ? &session_view : NULL;
}

struct fg_ledger *fgo_vgpu_ledger(struct fgo_vgpu *vgpu)
{
        struct fg_session_vgpu *session = fg_load_acquire(&vgpu->session);

        if (!session && fgo_session_get())
                session = fg_load_acquire(&vgpu->session);
        return session ? &session->ledger : NULL;
}

struct fg_gate *fgo_vgpu_gate_slow(struct fgo_vgpu *vgpu)
{
        return fgo_session_get() ? fg_load_acquire(&vgpu->gate) : NULL;
}

static void session_before_fork(void)
{
        pthread_mutex_lock(&session_lock);
        fgo_locks_all();
}

static void session_after_fork_parent(void)
{
        fgo_unlocks_all();
        pthread_mutex_unlock(&session_lock);
}

/* The child has no share in what the parent holds. Its inherited gates stay where they are: a driver may still call
 * back. */
static void session_after_fork_child(void)
{
        for (uint32_t i = 0; i < session_view.count; i++) {
                session_view.vgpu[i].session = NULL;
                session_view.vgpu[i].gate = NULL;
                fgo_queues_forget(&session_view.vgpu[i]);
        }
        if (session_state == STATE_ATTACHED || session_state == STATE_READY) {
                fg_session_forget(&session_pages);
                session_state = STATE_NEW;
        }
        fgo_generation++;
        fgo_unlocks_all();
        pthread_mutex_unlock(&session_lock);
}

void fgo_session_start(bool only_prove)
{
        if (only_prove)
                session_state = STATE_REFUSED;
        pthread_atfork(session_before_fork, session_after_fork_parent, session_after_fork_child);
}
