/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/witness.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct kept {
        char path[PATH_MAX];
        char key[FG_TLOG_BASE64(32)];
        char note[FG_TLOG_NOTE_MAX];
        bool is_there;
};

void cli_query_add(char *path, size_t size, const char *name, const char *value)
{
        size_t at = strlen(path);
        at += (size_t)snprintf(path + at, size - at, "%s%s=", strchr(path, '?') ? "&" : "?", name);
        for (; *value && at + 4 < size; value++)
                if (strchr("%&#+= ?\"", *value) || (unsigned char)*value <= ' ' || (unsigned char)*value >= 0x7f)
                        at += (size_t)snprintf(path + at, size - at, "%%%02X", (unsigned char)*value);
                else
                        path[at++] = *value;
        path[at] = 0;
}

/* One file for each daemon: by where it is. */
static int path_of(char *ret, size_t size)
{
        struct fg_client_target target = {0};
        struct fg_paths paths;
        struct fg_error err = {0};
        char error[FG_ERROR_MAX], where[PATH_MAX + 64], folder[PATH_MAX], name[33];
        uint8_t hash[16];
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int r = fg_client_target_find(&target, error, sizeof error);
        if (r < 0)
                return cli_fail(CLI_FAILED, "%s", error);
        if (r == 0 && fg_paths_find(&paths, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        snprintf(where, sizeof where, "%s", r ? target.url : paths.run);
        fg_client_target_clear(&target);
        if (!(state && *state == '/') && !(home && *home == '/'))
                return cli_fail(CLI_FAILED, "where is the log's checkpoint to be kept? Set HOME or XDG_STATE_HOME");
        if (state && *state == '/')
                snprintf(folder, sizeof folder, "%s/fastgpu/checkpoints", state);
        else
                snprintf(folder, sizeof folder, "%s/.local/state/fastgpu/checkpoints", home);
        crypto_generichash(hash, sizeof hash, (const uint8_t *)where, strlen(where), NULL, 0);
        sodium_bin2hex(name, sizeof name, hash, sizeof hash);
        if (fg_mkdirs(folder, 0700, &err) < 0)
                cli_note("the log's checkpoint cannot be kept: %s", err.text);
        snprintf(ret, size, "%s/%s", folder, name);
        return 0;
}

/* A line with the key, then the note. What cannot be read or makes no sense is not there: said, for it ought to be. */
static void load(struct kept *kept)
{
        fg_autoclose int fd = open(kept->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        char text[sizeof kept->note + sizeof kept->key + 2];
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n < 0) {
                if (errno != ENOENT)
                        cli_note("%s cannot be read: %m", kept->path);
                return;
        }
        text[n] = '\0';
        char *end = strchr(text, '\n');
        if (!end || (size_t)(end - text) >= sizeof kept->key || strlen(end + 1) >= sizeof kept->note) {
                cli_note("%s is damaged and will be written anew", kept->path);
                return;
        }
        *end = '\0';
        strcpy(kept->key, text);
        strcpy(kept->note, end + 1);
        kept->is_there = true;
}

static void store(const struct kept *kept, const struct cli_witness *seen)
{
        char part[PATH_MAX + 8], text[sizeof seen->note + sizeof seen->key + 2];
        snprintf(part, sizeof part, "%s.part", kept->path);
        int n = snprintf(text, sizeof text, "%s\n%s", seen->key, seen->note);
        int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        bool is_written = fd >= 0 && write(fd, text, (size_t)n) == n && fsync(fd) == 0;
        if (fd >= 0)
                close(fd);
        if (!is_written || rename(part, kept->path) < 0)
                cli_note("the log's checkpoint cannot be kept in %s: %m", kept->path);
}

static int take_proof(const json_t *reply, struct fg_tlog_proof *ret)
{
        size_t i;
        const json_t *hash, *proof = json_object_get(reply, "proof");
        *ret = (struct fg_tlog_proof){0};
        json_array_foreach(proof, i, hash)
        {
                const char *text = json_string_value(hash);
                if (i >= FG_TLOG_DEPTH || !text || fg_tlog_unbase64(text, strlen(text), &ret->hash[i], FG_TLOG_HASH) < 0)
                        return -EBADMSG;
                ret->count++;
        }
        return json_is_array(proof) ? 0 : -EBADMSG;
}

static int prove(const struct fg_tlog_checkpoint *old, const struct fg_tlog_checkpoint *new)
{
        cli_autojson json_t *reply = NULL;
        struct fg_tlog_proof proof;
        char path[128];
        snprintf(path, sizeof path, "/v1/log/consistency?from=%" PRIu64 "&size=%" PRIu64, old->size, new->size);
        int code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        if (take_proof(reply, &proof) < 0 || fg_tlog_verify_consistency(&proof, old->size, new->size, &old->root, &new->root) < 0)
                return cli_fail(CLI_FAILED, "the money log of this node was changed: what it had when it was last seen (%" PRIu64
                                " records) is not the beginning of what it has now (%" PRIu64 ")", old->size, new->size);
        return 0;
}

/* Does what was seen go on from what is kept? */
static int compare(const struct kept *kept, const struct cli_witness *seen)
{
        struct fg_tlog_checkpoint old;
        uint8_t key[32];
        struct fg_error err = {0};
        if (fg_tlog_unbase64(kept->key, strlen(kept->key), key, sizeof key) < 0 ||
            fg_tlog_open(kept->note, strlen(kept->note), key, &old, &err) < 0) {
                cli_note("%s is damaged and is written anew: %s", kept->path, err.text);
                return 0;
        }
        if (strcmp(kept->key, seen->key) != 0 || (seen->note[0] && strcmp(old.origin, seen->checkpoint.origin) != 0))
                return cli_fail(CLI_FAILED, "this is another money log than the one seen here before (%s); if the node was set up anew, remove %s",
                                old.origin, kept->path);
        if (!seen->note[0] || seen->checkpoint.size < old.size)
                return cli_fail(CLI_FAILED, "the money log of this node was truncated, or an old checkpoint shown: it had %" PRIu64
                                " records when it was last seen and has %" PRIu64 " now", old.size, seen->note[0] ? seen->checkpoint.size : 0);
        if (seen->checkpoint.size > old.size)
                return prove(&old, &seen->checkpoint);
        if (memcmp(&old.root, &seen->checkpoint.root, sizeof old.root) != 0)
                return cli_fail(CLI_FAILED, "the money log of this node was changed: its %" PRIu64 " records are others than when it was last seen",
                                old.size);
        return 0;
}

static int take(const json_t *reply, struct cli_witness *ret)
{
        struct fg_error err = {0};
        const char *key = cli_text(reply, "key"), *note = cli_text(reply, "checkpoint"), *trouble = cli_text(reply, "trouble");
        if (*trouble)
                cli_note("nothing is billed on this node: %s", trouble);
        if (strlen(key) >= sizeof ret->key || strlen(note) >= sizeof ret->note || fg_tlog_unbase64(key, strlen(key), ret->public, 32) < 0)
                return cli_fail(CLI_FAILED, "the daemon's checkpoint makes no sense");
        strcpy(ret->key, key);
        strcpy(ret->note, note);
        if (*note && fg_tlog_open(note, strlen(note), ret->public, &ret->checkpoint, &err) < 0)
                return cli_fail(CLI_FAILED, "the daemon's checkpoint is not as signed: %s", err.text);
        return 0;
}

int cli_witness(struct cli_witness *ret)
{
        cli_autojson json_t *reply = NULL;
        struct kept kept = {.is_there = false};
        *ret = (struct cli_witness){0};
        int code = cli_call("GET", "/v1/log/checkpoint", NULL, NULL, &reply);
        if (code == 0)
                code = take(reply, ret);
        if (code == 0)
                code = path_of(kept.path, sizeof kept.path);
        if (code)
                return code;
        load(&kept);
        if (kept.is_there)
                code = compare(&kept, ret);
        if (code == 0 && ret->note[0])
                store(&kept, ret);
        return code;
}

int cli_witness_key(uint8_t ret[32])
{
        struct kept kept = {.is_there = false};
        if (path_of(kept.path, sizeof kept.path))
                return 0;
        load(&kept);
        return kept.is_there && fg_tlog_unbase64(kept.key, strlen(kept.key), ret, 32) == 0;
}
