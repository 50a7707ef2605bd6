/* SPDX-License-Identifier: Apache-2.0
 * Shares of the simulated GPU: CUDA programs under the drop-in driver, divided by the real arbiter. This program plays the
 * daemon: it makes each vGPU's pages, answers those who attach, and runs the arbiter over them.
 *
 *   cuda_share --shim FOLDER --driver FOLDER [--seconds S] [--tolerance P]
 *              --tenant SHARE:KERNEL_US:DEPTH[:cap][:xPROCESSES][:plain|ex|coop|graph|ptsz|meet][:gGRID] ...
 *
 * A tenant is a vGPU. Prints one JSON line: per tenant what it asked for, what it got of the device's nominal time and of the
 * time that was charged, and its worst window of one second; `error` is the mean distance of what they got in points.
 * --tolerance P: exit status 1 when what was charged is more than P points off, or what was got more than 3 P (a busy machine
 * makes kernels longer than they nominally are); a cap alone is met from above, and halfway from below. With tenants of
 * kind `meet`, DEPTH is how often they meet and KERNEL_US how many they are; exit status 1 when they did not. */
#include "cuda_share.h"
#include "share_figures.h"

#include "base/paths.h"
#include "daemon/arbiter.h"
#include "ledger/attach.h"

#include <fcntl.h>
#include <inttypes.h>
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

#define UUID_TEXT    "GPU-5a5a5a5a-0000-4000-8000-000000000001"
#define PROCESS_MAX  64
#define QUOTA        (8ull << 30)
#define START_LIMIT  (60 * FG_NSEC_PER_SEC)
#define MEET_SECONDS 60

struct tenant {
        uint32_t share, kernel_us, depth, processes, mode, grid;
        const char *kind;
        struct fg_limits_page *limits;
        struct fg_usage_page *usage;
        int limits_fd, usage_fd, poke[2], listener;
        char socket[160];
        struct fgd_arbiter_client *client;
        struct fgd_arbiter_account account;
};

static struct tenant tenants[SHARE_TENANTS];
static unsigned tenant_count, attached_count;
static struct {
        int fd;
        unsigned tenant, slot;
} attached[PROCESS_MAX];
static pid_t pids[PROCESS_MAX];
static unsigned pid_count;
static struct fgd_arbiter *arbiter;
static struct share_shared *shared;
static const char *shim = "", *driver = "";
static char folder[] = "/tmp/fastgpu-share.XXXXXX", program[512];

static void clean_up(void)
{
        char command[128];

        for (unsigned i = 0; i < pid_count; i++)
                if (pids[i] > 0) {
                        kill(pids[i], SIGKILL);
                        waitpid(pids[i], NULL, 0);
                }
        snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        if (system(command) != 0)
                fprintf(stderr, "cuda_share: %s stays behind\n", folder);
}

static void die(const char *what)
{
        perror(what);
        clean_up();
        exit(2);
}

static void *map_file(const char *name, size_t size, int *ret_fd, int *ret_read_only)
{
        char path[256];
        void *page;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (*ret_fd < 0 || ftruncate(*ret_fd, (off_t)size) < 0)
                die(path);
        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
        if (page == MAP_FAILED)
                die(path);
        if (ret_read_only)
                *ret_read_only = open(path, O_RDONLY | O_CLOEXEC);
        return page;
}

/* --- the daemon's part --- */

static void vgpu_new(unsigned i)
{
        struct tenant *t = &tenants[i];
        char name[32];
        int fd;

        snprintf(name, sizeof(name), "limits-%u", i);
        t->limits = map_file(name, sizeof(*t->limits), &fd, &t->limits_fd);
        snprintf(name, sizeof(name), "usage-%u", i);
        t->usage = map_file(name, sizeof(*t->usage), &t->usage_fd, NULL);
        fg_page_init_usage(t->usage);
        *t->limits = (struct fg_limits_page){.magic = FG_LIMITS_MAGIC, .version = FG_PAGE_VERSION, .size = sizeof(*t->limits),
                                             .index = i, .quota = QUOTA, .share_permille = t->share, .mode = t->mode,
                                             .priority = FG_PRIORITY_NORMAL};
        memset(t->limits->uuid, (int)i + 1, sizeof(t->limits->uuid));
        snprintf(t->limits->name, sizeof(t->limits->name), "share/%u", i);
        snprintf(t->limits->device_key, sizeof(t->limits->device_key), "cuda/%s", UUID_TEXT);
        snprintf(t->socket, sizeof(t->socket), "%s/attach-%u", folder, i);
        t->listener = fg_unix_listen(t->socket, SOCK_SEQPACKET, 64, 0600);
        if (t->listener < 0 || pipe2(t->poke, O_NONBLOCK | O_CLOEXEC) < 0)
                die("vgpu");
        if (fgd_arbiter_add(arbiter, t->limits, t->usage, t->poke[0], &t->account, &t->client) < 0)
                die("arbiter");
}

static void send_reply(int fd, struct tenant *t, uint32_t slot)
{
        struct fg_attach_reply reply = {FG_ATTACH_MAGIC, FG_ATTACH_VERSION, 0, 1};
        struct fg_attach_reply_vgpu vgpu = {FG_ATTACH_MAGIC, FG_ATTACH_VERSION, 0, slot};
        int fds[3] = {t->limits_fd, t->usage_fd, t->poke[1]};
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(fds))];
        } control = {0};
        struct iovec iov = {&vgpu, sizeof(vgpu)};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);

        snprintf(reply.driver_path, sizeof(reply.driver_path), "%s", driver);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(c), fds, sizeof(fds));
        send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
        sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void attach(unsigned i)
{
        struct tenant *t = &tenants[i];
        struct fg_attach_hello hello;
        struct ucred peer;
        socklen_t size = sizeof(peer);
        int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
        uint32_t slot = 0;

        if (fd < 0 || recv(fd, &hello, sizeof(hello), 0) != sizeof(hello) || attached_count == PROCESS_MAX)
                die("attach");
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
        while (t->limits->owner[slot].pid)
                slot++;
        t->limits->owner[slot] = (struct fg_slot_owner){.pid = (uint32_t)peer.pid, .generation = 1};
        fgd_arbiter_changed(arbiter, t->client);
        attached[attached_count].fd = fd;
        attached[attached_count].tenant = i;
        attached[attached_count++].slot = slot;
        send_reply(fd, t, slot);
}

static void detach(unsigned n)
{
        struct tenant *t = &tenants[attached[n].tenant];

        t->limits->owner[attached[n].slot].pid = 0;
        fgd_arbiter_changed(arbiter, t->client);
        close(attached[n].fd);
        attached[n] = attached[--attached_count];
}

/* Answers who attaches and notices who leaves, for at most `ms`. */
static void serve(int ms)
{
        struct pollfd p[SHARE_TENANTS + PROCESS_MAX];
        unsigned n = 0;

        for (unsigned i = 0; i < tenant_count; i++)
                p[n++] = (struct pollfd){.fd = tenants[i].listener, .events = POLLIN};
        for (unsigned i = 0; i < attached_count; i++)
                p[n++] = (struct pollfd){.fd = attached[i].fd};
        if (poll(p, n, ms) <= 0)
                return;
        for (unsigned i = attached_count; i-- > 0;)
                if (p[tenant_count + i].revents)
                        detach(i);
        for (unsigned i = 0; i < tenant_count; i++)
                if (p[i].revents)
                        attach(i);
}

/* --- tenants --- */

static void parse_tenant(char *text)
{
        struct tenant *t = &tenants[tenant_count++];
        char *word = strtok(text, ":");

        *t = (struct tenant){.share = (uint32_t)(atof(word) * 10), .processes = 1, .kind = "plain", .grid = 1};
        t->kernel_us = (uint32_t)atoi(strtok(NULL, ":"));
        t->depth = (uint32_t)atoi(strtok(NULL, ":"));
        while ((word = strtok(NULL, ":"))) {
                if (strcmp(word, "cap") == 0)
                        t->mode = FG_MODE_CAP;
                else if (word[0] == 'x')
                        t->processes = (uint32_t)atoi(word + 1);
                else if (word[0] == 'g' && word[1] >= '0' && word[1] <= '9')
                        t->grid = (uint32_t)atoi(word + 1);
                else
                        t->kind = word;
        }
}

static void start_process(unsigned i)
{
        struct tenant *t = &tenants[i];
        char file[256], index[16], us[16], depth[16], grid[16];
        pid_t pid = fork();

        if (pid < 0)
                die("fork");
        if (pid > 0) {
                pids[pid_count++] = pid;
                return;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(file, sizeof(file), "%s/shared", folder);
        snprintf(index, sizeof(index), "%u", i);
        snprintf(us, sizeof(us), "%u", t->kernel_us);
        snprintf(depth, sizeof(depth), "%u", t->depth);
        snprintf(grid, sizeof(grid), "%u", t->grid);
        setenv("LD_LIBRARY_PATH", shim, 1);
        setenv("FASTGPU_ATTACH", t->socket, 1);
        execl(program, program, file, index, us, depth, t->kind, grid, NULL);
        _exit(127);
}

static void write_spec(void)
{
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/spec", folder);
        f = fopen(path, "we");
        if (!f)
                die(path);
        fprintf(f, "[gpu]\nmodel = H100\nuuid = %s\nlaunch = 0\n", UUID_TEXT);
        fclose(f);
        setenv("FASTGPU_SIM", path, 1);
        setenv("FASTGPU_SIM_STATE", folder, 1);
}

static bool lives(void)
{
        bool any = false;

        for (unsigned i = 0; i < pid_count; i++) {
                if (pids[i] > 0 && waitpid(pids[i], NULL, WNOHANG) == pids[i])
                        pids[i] = 0;
                any |= pids[i] > 0;
        }
        return any;
}

/* --- figures --- */

static double device_time(unsigned i, unsigned from, unsigned to)
{
        double sum = 0;

        for (unsigned b = from; b < to; b++)
                sum += (double)shared->bins[i][b];
        return sum;
}

/* Of what the device gave to all; alone: of the time that passed. */
static double share_of(unsigned i, unsigned from, unsigned to)
{
        double all = 0;

        if (tenant_count == 1)
                return 100 * device_time(0, from, to) / ((double)(to - from) * SHARE_BIN);
        for (unsigned k = 0; k < tenant_count; k++)
                all += device_time(k, from, to);
        return all > 0 ? 100 * device_time(i, from, to) / all : 0;
}

static double charged_share(unsigned i, unsigned seconds)
{
        double all = 0;

        if (tenant_count == 1)
                return (double)tenants[0].limits->charged / seconds / 1e7;
        for (unsigned k = 0; k < tenant_count; k++)
                all += (double)tenants[k].limits->charged;
        return all > 0 ? 100 * (double)tenants[i].limits->charged / all : 0;
}

static double distance(double a, double b)
{
        return a > b ? a - b : b - a;
}

static int report(unsigned seconds, double tolerance)
{
        unsigned from = 50, to = seconds * 100, off = 0;
        double all = 0, error = 0;

        printf("{\"tenants\": [");
        for (unsigned i = 0; i < tenant_count; i++) {
                double asked = tenants[i].share / 10.0, mean = share_of(i, from, to);
                double charged = charged_share(i, seconds), worst = 0;

                for (unsigned b = from; b + 100 <= to; b += 10)
                        worst = distance(share_of(i, b, b + 100), asked) > worst ? distance(share_of(i, b, b + 100), asked) : worst;
                all += device_time(i, from, to);
                error += distance(mean, asked) / tenant_count;
                off += share_is_off(asked, charged, tolerance, tenant_count == 1) || share_is_off(asked, mean, 3 * tolerance, tenant_count == 1);
                printf("%s{\"kind\": \"%s\", \"kernel_us\": %u, \"asked\": %.1f, \"got\": %.2f, \"worst\": %.2f, "
                       "\"charged\": %.2f, \"launches\": %" PRIu64 "}",
                       i ? ", " : "", tenants[i].kind, tenants[i].kernel_us, asked, mean, worst, charged,
                       shared->launches[i]);
        }
        printf("], \"error\": %.2f, \"utilisation\": %.3f}\n", error, all / ((double)(to - from) * SHARE_BIN));
        return off > 0;
}

/* They came together each time, whoever had the device. */
static int report_meetings(void)
{
        int missed = 0;

        for (unsigned i = 0; i < tenant_count; i++) {
                uint32_t asked = tenants[i].depth * tenants[i].processes;
                printf("tenant %u met %" PRIu64 " times of %u\n", i, shared->meetings[i], asked);
                missed |= shared->meetings[i] != asked;
        }
        return missed;
}

static void run(unsigned seconds, bool meet)
{
        uint64_t begun = fg_now();

        while (fg_load_seq_cst(&shared->ready) < pid_count && lives() && fg_now() - begun < START_LIMIT)
                serve(20);
        if (fg_load_seq_cst(&shared->ready) < pid_count)
                fg_store_seq_cst(&shared->failed, 1);
        fg_store_seq_cst(&shared->start, fg_now() + 200 * FG_NSEC_PER_MSEC);
        if (meet)
                seconds = MEET_SECONDS;
        while (fg_now() < shared->start + seconds * FG_NSEC_PER_SEC && lives() && !fg_load_relaxed(&shared->failed))
                serve(20);
        fg_store_seq_cst(&shared->stop, 1);
}

int main(int argc, char **argv)
{
        struct fgd_arbiter_config config = {.quantum = 8 * FG_NSEC_PER_MSEC, .free_after = FG_NSEC_PER_SEC};
        unsigned seconds = 5;
        double tolerance = 100;
        int fd, r;

        for (int i = 1; i + 1 < argc; i += 2) {
                if (strcmp(argv[i], "--seconds") == 0)
                        seconds = (unsigned)atoi(argv[i + 1]);
                else if (strcmp(argv[i], "--tolerance") == 0)
                        tolerance = atof(argv[i + 1]);
                else if (strcmp(argv[i], "--shim") == 0)
                        shim = argv[i + 1];
                else if (strcmp(argv[i], "--driver") == 0)
                        driver = argv[i + 1];
                else if (strcmp(argv[i], "--quantum-us") == 0)
                        config.quantum = strtoull(argv[i + 1], NULL, 10) * 1000;
                else if (strcmp(argv[i], "--tenant") == 0 && tenant_count < SHARE_TENANTS)
                        parse_tenant(argv[i + 1]);
        }
        snprintf(program, sizeof(program), "%s_tenant", argv[0]);
        signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(folder))
                die(folder);
        shared = map_file("shared", sizeof(*shared), &fd, NULL);
        write_spec();
        if (fgd_arbiter_new(&config, &arbiter, NULL) < 0)
                die("arbiter");
        for (unsigned i = 0; i < tenant_count; i++)
                vgpu_new(i);
        for (unsigned i = 0; i < tenant_count; i++)
                for (uint32_t p = 0; p < tenants[i].processes && pid_count < PROCESS_MAX; p++)
                        start_process(i);
        run(seconds, tenant_count && strcmp(tenants[0].kind, "meet") == 0);
        r = fg_load_relaxed(&shared->failed) ? 2 : 0;
        if (r == 0)
                r = strcmp(tenants[0].kind, "meet") == 0 ? report_meetings() : report(seconds, tolerance);
        clean_up();
        fgd_arbiter_free(arbiter);
        return r;
}
