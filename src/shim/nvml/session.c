/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/nvml/session.h"

#include "base/atomic.h"
#include "shim/nvml/device.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state { STATE_NEW, STATE_ATTACHED, STATE_REFUSED };

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t session_state, session_told;
static int session_error;
static struct fg_session session = {.connection.fd = -1};

static void session_before_fork(void)
{
        pthread_mutex_lock(&session_lock);
}

static void session_after_fork_parent(void)
{
        pthread_mutex_unlock(&session_lock);
}

/* The pages stay readable; the connection is the parent's. */
static void session_after_fork_child(void)
{
        for (uint32_t i = 0; i < session.count; i++)
                fg_own_fd_close(&session.vgpu[i].poke);
        fg_own_fd_close(&session.connection);
        pthread_mutex_unlock(&session_lock);
}

static int session_open(void)
{
        const char *path = fg_session_path();
        int r;

        if (!path)
                return -EDESTADDRREQ;
        r = fg_session_open(path, FG_API_NVML, &session);
        if (r == 0)
                r = fgn_devices_init(&session);
        if (r == 0)
                pthread_atfork(session_before_fork, session_after_fork_parent, session_after_fork_child);
        return r;
}

int fgn_session_attach(void)
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

const char *fgn_session_driver_path(void)
{
        return session.driver_path;
}

void fgn_session_complain(const char *why)
{
        const char *cause = why ? "" : ": ";

        if (fg_swap_acq_rel(&session_told, 1))
                return;
        if (!why && session_error == -EDESTADDRREQ)
                why = FG_ATTACH_ENV " is not set; start the program with `fastgpu run`", cause = "";
        fprintf(stderr, "fastgpu: no vGPU for process %d: %s%s%s\n", (int)getpid(),
                why ? why : "cannot attach to fastgpud", cause, *cause ? strerror(-session_error) : "");
}
