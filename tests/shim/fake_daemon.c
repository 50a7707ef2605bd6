/* SPDX-License-Identifier: Apache-2.0
 *
 * A stand-in for fastgpud that serves real pages over a real attach socket for the time of one command.
 *
 *      fake-daemon [--gate free|toggle|closed] [--key KEY[,KEY…]] [--driver FOLDER] [--context BYTES] LAYER|- QUOTA[,QUOTA…] -- PROGRAM ARGS…
 *
 * The program finds the vGPUs test/0, test/1 …; its environment names the folder of the pages in FAKE_PAGES, so that a
 * test can read the accounts themselves. --gate toggle withdraws and gives the grant every few milliseconds. At the end
 * one line for each vGPU goes to standard error or the file in FAKE_REPORT: what processes still held when they ended
 * (`left`), the peak, refusals. Exits as the program did, or with 99 if a page's invariant does not hold. */
#include "base/clock.h"
#include "base/futex.h"
#include "base/paths.h"
#include "ledger/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_VGPUS       4
#define MAX_CONNECTIONS 64
#define TOGGLE_MS       3

struct fake_vgpu {
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        int limits_fd, usage_fd, poke[2];
        uint64_t left;
};

static struct {
        char dir[64];
        int listener;
        struct fake_vgpu vgpu[MAX_VGPUS];
        uint32_t count;
        int connection[MAX_CONNECTIONS]; /* by slot */
        const char *gate, *driver;
        uint64_t context_bytes;
        uint32_t epoch;
        volatile sig_atomic_t stop;
} fake = {.gate = "free", .driver = ""};

static void die(const char *what)
{
        fprintf(stderr, "fake-daemon: %s: %s\n", what, strerror(errno));
        exit(98);
}

static void *page_create(const char *name, uint32_t index, size_t size, int *ret_fd, bool read_only)
{
        char path[128];
        void *page;
        int fd;

        snprintf(path, sizeof(path), "%s/%s%u", fake.dir, name, index);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
                die(path);
        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
                die(path);
        *ret_fd = read_only ? open(path, O_RDONLY | O_CLOEXEC) : fd;
        if (read_only)
                close(fd);
        return page;
}

static void grant(struct fake_vgpu *v, uint32_t mode)
{
        __atomic_store_n(&v->limits->beat, fg_now(), __ATOMIC_RELAXED);
        __atomic_store_n(&v->limits->until, fg_now() + TOGGLE_MS * FG_NSEC_PER_MSEC, __ATOMIC_RELAXED);
        __atomic_store_n(&v->limits->grant, ++fake.epoch << 2 | mode, __ATOMIC_SEQ_CST);
        fg_futex_wake_all(&v->limits->grant);
}

static void vgpu_create(uint32_t index, uint64_t quota, const char *key)
{
        struct fake_vgpu *v = &fake.vgpu[index];
        struct fg_limits_page *limits;

        v->limits = limits = page_create("limits", index, sizeof(*limits), &v->limits_fd, true);
        v->usage = page_create("usage", index, sizeof(*v->usage), &v->usage_fd, false);
        fg_page_init_usage(v->usage);
        limits->magic = FG_LIMITS_MAGIC;
        limits->version = FG_PAGE_VERSION;
        limits->size = sizeof(*limits);
        limits->index = index;
        memset(limits->uuid, (int)index + 1, sizeof(limits->uuid));
        snprintf(limits->name, sizeof(limits->name), "test/%u", index);
        snprintf(limits->device_key, sizeof(limits->device_key), "%s", key);
        limits->quota = quota;
        limits->share_permille = 500;
        limits->window = FG_NSEC_PER_MSEC;
        limits->context_bytes = fake.context_bytes;
        limits->closed = strcmp(fake.gate, "closed") == 0;
        grant(v, limits->closed ? FG_GRANT_DENIED
                                : FG_GRANT_FREE); /* the gate looks at `closed` only when it is not free */
        if (pipe2(v->poke, O_CLOEXEC | O_NONBLOCK) < 0)
                die("pipe");
}

/* One for each vGPU; the last one again for all that follow. */
static const char *next_key(char **keys)
{
        char *key = *keys, *comma = strchr(key, ',');

        if (comma) {
                *comma = 0;
                *keys = comma + 1;
        }
        return key;
}

static void send_vgpu(int fd, uint32_t position, uint32_t slot)
{
        struct fake_vgpu *v = &fake.vgpu[position];
        struct fg_attach_reply_vgpu reply = {FG_ATTACH_MAGIC, FG_ATTACH_VERSION, position, slot};
        int fds[3] = {v->limits_fd, v->usage_fd, v->poke[1]};
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(fds))];
        } control = {0};
        struct iovec iov = {&reply, sizeof(reply)};
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
        sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void accept_one(void)
{
        struct fg_attach_reply reply = {FG_ATTACH_MAGIC, FG_ATTACH_VERSION, 0, fake.count};

        snprintf(reply.driver_path, sizeof(reply.driver_path), "%s", fake.driver);
        struct fg_attach_hello hello;
        int fd = accept4(fake.listener, NULL, NULL, SOCK_CLOEXEC);
        uint32_t slot = 0;

        if (fd < 0 || recv(fd, &hello, sizeof(hello), 0) != sizeof(hello) || hello.magic != FG_ATTACH_MAGIC)
                die("attach");
        while (slot < MAX_CONNECTIONS && fake.connection[slot] >= 0)
                slot++;
        if (slot == MAX_CONNECTIONS)
                die("too many processes");
        fake.connection[slot] = fd;
        send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
        for (uint32_t i = 0; i < fake.count; i++)
                send_vgpu(fd, i, slot);
}

static void drop_one(uint32_t slot)
{
        close(fake.connection[slot]);
        fake.connection[slot] = -1;
        for (uint32_t i = 0; i < fake.count; i++)
                fake.vgpu[i].left += fg_ledger_reap(fake.vgpu[i].usage, slot);
}

static void toggle(void)
{
        static const uint32_t order[] = {FG_GRANT_FREE, FG_GRANT_TIMED, FG_GRANT_DENIED, FG_GRANT_TIMED};
        static uint32_t step;
        char drain[256];

        step++;
        for (uint32_t i = 0; i < fake.count; i++) {
                while (read(fake.vgpu[i].poke[0], drain, sizeof(drain)) > 0)
                        ;
                if (strcmp(fake.gate, "toggle") == 0)
                        grant(&fake.vgpu[i], order[(step + i) % 4]);
        }
}

static void on_stop(int signal)
{
        fake.stop = 1;
}

/* Until the program ends and everybody who attached is gone. Returns its wait status. */
static int serve(pid_t child)
{
        bool attached;
        int status = 0;

        do {
                struct pollfd p[MAX_CONNECTIONS + 1] = {{.fd = fake.listener, .events = POLLIN}};
                attached = false;
                for (int i = 0; i < MAX_CONNECTIONS; i++)
                        p[i + 1] = (struct pollfd){.fd = fake.connection[i]};
                poll(p, MAX_CONNECTIONS + 1, TOGGLE_MS);
                if (p[0].revents)
                        accept_one();
                for (uint32_t i = 0; i < MAX_CONNECTIONS; i++)
                        if (p[i + 1].revents)
                                drop_one(i);
                        else
                                attached |= fake.connection[i] >= 0;
                toggle();
                if (fake.stop && child > 0)
                        kill(child, SIGKILL);
                if (child > 0 && waitpid(child, &status, WNOHANG) == child)
                        child = 0;
        } while (child > 0 || (attached && !fake.stop));
        return status;
}

static int report(void)
{
        const char *file = getenv("FAKE_REPORT");
        FILE *out = file ? fopen(file, "we") : stderr;
        int bad = 0;

        for (uint32_t i = 0; i < fake.count && out; i++) {
                struct fake_vgpu *v = &fake.vgpu[i];
                struct fg_error err = {0};
                uint64_t refusals = 0, launches = 0, waits = 0;
                for (uint32_t s = 0; s < FG_SLOTS; s++) {
                        refusals += v->usage->slot[s].refusals;
                        launches += v->usage->slot[s].launches;
                        waits += v->usage->slot[s].waits;
                }
                if (fg_ledger_check(v->limits, v->usage, &err) < 0 || v->usage->counter.used != 0)
                        bad = fprintf(out, "test/%u: books do not balance: %s\n", i, err.text);
                fprintf(out, "test/%u quota %lu used %lu left %lu peak %lu refusals %lu launches %lu waits %lu\n", i,
                        (unsigned long)v->limits->quota, (unsigned long)v->usage->counter.used, (unsigned long)v->left,
                        (unsigned long)v->usage->peak, (unsigned long)refusals, (unsigned long)launches,
                        (unsigned long)waits);
        }
        if (out && out != stderr)
                fclose(out);
        return bad;
}

static void clean_up(void)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -rf '%s'", fake.dir);
        if (system(command) != 0)
                fprintf(stderr, "fake-daemon: %s stays behind\n", fake.dir);
}

static pid_t start(char **argv, const char *layer, const char *socket_path)
{
        pid_t child = fork();

        if (child != 0)
                return child;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (strcmp(layer, "-") != 0)
                setenv("OPENCL_LAYERS", layer, 1);
        setenv("FASTGPU_ATTACH", socket_path, 1);
        setenv("FAKE_PAGES", fake.dir, 1);
        execvp(argv[0], argv);
        fprintf(stderr, "fake-daemon: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
}

int main(int argc, char **argv)
{
        const char *layer;
        char path[128], *quotas, *keys = (char[]){"opencl/Portable Computing Language/0"};
        int at = 1, status;

        for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
                if (strcmp(argv[at], "--gate") == 0)
                        fake.gate = argv[at + 1];
                else if (strcmp(argv[at], "--key") == 0)
                        keys = argv[at + 1];
                else if (strcmp(argv[at], "--driver") == 0)
                        fake.driver = argv[at + 1];
                else if (strcmp(argv[at], "--context") == 0)
                        fake.context_bytes = strtoull(argv[at + 1], NULL, 0);
        }
        if (argc < at + 4 || strcmp(argv[at + 2], "--") != 0) {
                fprintf(stderr,
                        "usage: fake-daemon [--gate free|toggle|closed] [--key KEY,…] [--driver FOLDER] [--context BYTES] "
                        "LAYER|- QUOTA,… -- PROGRAM …\n");
                return 98;
        }
        layer = argv[at];
        quotas = argv[at + 1];
        snprintf(fake.dir, sizeof(fake.dir), "/tmp/fastgpu-fake-XXXXXX");
        if (!mkdtemp(fake.dir))
                die("mkdtemp");
        memset(fake.connection, -1, sizeof(fake.connection));
        for (char *q = strtok(quotas, ","); q && fake.count < MAX_VGPUS; q = strtok(NULL, ","))
                vgpu_create(fake.count++, strtoull(q, NULL, 0), next_key(&keys));
        snprintf(path, sizeof(path), "%s/attach", fake.dir);
        fake.listener = fg_unix_listen(path, SOCK_SEQPACKET, 16, 0600);
        if (fake.listener < 0)
                die(path);
        signal(SIGTERM, on_stop);
        signal(SIGINT, on_stop);
        status = serve(start(argv + at + 3, layer, path));
        at = report();
        clean_up();
        if (at)
                return 99;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
