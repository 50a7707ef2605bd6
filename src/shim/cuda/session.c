/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/session.h"

#include "base/atomic.h"
#include "shim/cuda/core.h"
#include "shim/cuda/device.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SESSION_NO_PATH EDESTADDRREQ /* which connect() on a path never says */

enum state { STATE_NEW, STATE_ATTACHED, STATE_REFUSED };

/* Written under the lock; `state` is read without it. Nothing under the lock calls the driver or the dynamic linker. */
static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t session_state;
static int session_error;
static bool session_watching; /* fork() is being watched */
static struct fg_session session;
static pid_t session_process; /* who attached; 0: nobody */

static uint32_t session_is_used, session_is_forked, session_told;

/* What the parent's vGPUs are to the child: their usage page becomes a page of the child's own, so that nothing that
 * still points there can touch the parent's account, and nobody is poked any more. */
static void session_disown(void)
{
        for (uint32_t i = 0; i < session.count; i++) {
                struct fg_session_vgpu *vgpu = &session.vgpu[i];

                mmap(vgpu->ledger.usage, sizeof(*vgpu->ledger.usage), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
                fg_own_fd_close(&vgpu->poke);
        }
        fg_own_fd_close(&session.connection);
        session = (struct fg_session){.connection.fd = -1};
}

static void session_before_fork(void)
{
        pthread_mutex_lock(&session_lock);
}

static void session_after_fork_parent(void)
{
        pthread_mutex_unlock(&session_lock);
}

static void session_begin_child(void)
{
        session_process = 0;
        if (session_state == STATE_ATTACHED) {
                session_disown();
                session_state = STATE_NEW;
        }
        if (session_is_used) {
                session_is_forked = 1;
                fgc_devices_forget();
                fgc_close_child();
        }
        fgc_init_forked();
}

static void session_after_fork_child(void)
{
        session_begin_child();
        pthread_mutex_unlock(&session_lock);
}

void fgc_session_notice_fork(void)
{
        pid_t process = fg_load_relaxed(&session_process);

        if (process == 0 || process == getpid())
                return;
        session_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        session_begin_child();
}

static int session_open(void)
{
        const char *path = fg_session_path();

        if (!session_watching) {
                pthread_atfork(session_before_fork, session_after_fork_parent, session_after_fork_child);
                session_watching = true;
        }
        fg_store_relaxed(&session_process, getpid());
        if (!path)
                return -SESSION_NO_PATH;
        return fg_session_open(path, FG_API_CUDA, &session);
}

int fgc_session_attach(void)
{
        if (fg_load_acquire(&session_state) == STATE_ATTACHED)
                return 0;
        pthread_mutex_lock(&session_lock);
        if (session_state == STATE_NEW) {
                session_error = session_open();
                fg_store_release(&session_state, session_error < 0 ? STATE_REFUSED : STATE_ATTACHED);
        }
        pthread_mutex_unlock(&session_lock);
        return session_error;
}

struct fg_session *fgc_session(void)
{
        return &session;
}

void fgc_session_used(void)
{
        fg_store_release(&session_is_used, 1);
}

bool fgc_session_forked(void)
{
        return fg_load_relaxed(&session_is_forked);
}

void fgc_session_complain(const char *why)
{
        const char *cause = why ? "" : strerror(-session_error);

        if (fg_swap_acq_rel(&session_told, 1))
                return;
        if (!why && session_error == -SESSION_NO_PATH)
                why = FG_ATTACH_ENV " is not set; start the program with `fastgpu run`", cause = "";
        if (!why)
                why = "cannot attach to fastgpud: ";
        fprintf(stderr, "fastgpu: no vGPU for process %d: %s%s\n", (int)getpid(), why, cause);
}
