/* SPDX-License-Identifier: Apache-2.0
 * What Slurm's plugin reads. The first byte says what the rest is: 'a' the daemon's JSON, 'r' its whole answer, 'w' what was typed behind
 * --fastgpu, 'p' words of plugstack.conf, one a line; anything else a job's AdminComment, in which this node's entry is then what it says, or what
 * it said of more use, the same when it says so again, and nothing else is changed. */
#include "integrations/slurm/slurm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_answer(const char *text)
{
        char found[24], quoted[4096] = "{\"name\":", back[4096];
        unsigned count;
        if (fgi_slurm_text(text, "name", found, sizeof found))
                assert(strlen(found) < sizeof found);
        fgi_slurm_true(text, "cuda");
        fgi_slurm_sum(text, "gpu_ns", &count);
        assert(count <= strlen(text));
        /* What we write we read, as far as it has letters. */
        for (const char *c = text; *c; c++)
                if ((unsigned char)*c < ' ')
                        return;
        if (strlen(text) > 1000)
                return;
        fgi_slurm_quote(quoted, sizeof quoted, text);
        assert(fgi_slurm_text(quoted, "name", back, sizeof back) && strcmp(back, text) == 0);
}

static void try_reply(const char *text)
{
        struct fgi_slurm_reply reply = {0};
        if (fgi_slurm_reply_read(text, &reply) == 0)
                assert(reply.body && strlen(reply.body) <= strlen(text));
        free(reply.body);
}

static void try_wish(const char *text)
{
        struct fgi_slurm_wish wish = {0};
        char error[FGI_SLURM_TEXT] = "";
        if (fgi_slurm_wish_parse(text, &wish, error, sizeof error) < 0)
                assert(*error && wish.gpus == 0);
        else
                assert(!*error && wish.gpus >= 1 && wish.gpus <= FGI_SLURM_GPUS && strlen(wish.memory) < sizeof wish.memory && !strchr(wish.compute, '%'));
}

static void try_words(char *text)
{
        struct fgi_slurm_config config;
        char error[FGI_SLURM_TEXT] = "", *word[WORDS_MAX];
        int words = 0;
        while (words < WORDS_MAX && text)
                word[words++] = strsep(&text, "\n");
        int r = fgi_slurm_config_read(words, word, "node-1", "physics", &config, error, sizeof error);
        assert((r < 0) == (*error != 0));
        assert(strlen(config.socket) < sizeof config.socket && strlen(config.prefix) < sizeof config.prefix && strlen(config.project) < sizeof config.project);
}

/* This node's entry in ours, the first; NULL: there is none. */
static const char *entry_in(const char *comment)
{
        const char *mark = strstr(comment, "fastgpu="), *start = mark ? mark + strlen("fastgpu=") : comment + strlen(comment);
        size_t len = strcspn(start, " ");
        for (const char *at = start; (at = strstr(at, "node-1:")) && at < start + len; at++)
                if (at == start || at[-1] == ';')
                        return at;
        return NULL;
}

static bool says_more(const char *entry, size_t len, unsigned long long than)
{
        const char *us = memmem(entry, len, "gpu_us=", strlen("gpu_us="));
        return us && strtoull(us + strlen("gpu_us="), NULL, 10) > than;
}

static void try_comment(const char *before)
{
        static const char entry[] = "node-1:vgpus=2,gpu_us=17";
        char *after = fgi_slurm_comment(before, entry), *again = after ? fgi_slurm_comment(after, entry) : NULL;
        assert(again && strcmp(after, again) == 0);
        const char *was = entry_in(before), *is = entry_in(after);
        size_t old = was ? strcspn(was, "; ") : 0, new = sizeof entry - 1;
        if (was && says_more(was, old, 17)) {
                assert(strcmp(after, before) == 0);
        } else {
                assert(is && strcspn(is, "; ") == new && strncmp(is, entry, new) == 0);
                size_t rest = was ? strlen(was + old) : strlen(is + new), head = strlen(before) - old - rest;
                assert(rest <= strlen(before) - old && strcmp(is + new, before + strlen(before) - rest) == 0);
                assert(strncmp(after, before, head) == 0);
                assert(was ? is == after + head : is <= after + head + strlen(" fastgpu="));
        }
        free(after);
        free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
        if (!text)
                return 0;
        switch (data[0]) {
        case 'a':
                try_answer(text);
                break;
        case 'r':
                try_reply(text);
                break;
        case 'w':
                try_wish(text);
                break;
        case 'p':
                try_words(text);
                break;
        default:
                try_comment(text);
        }
        free(text);
        return 0;
}
