/* SPDX-License-Identifier: Apache-2.0
 * Where an engine's manager answers: what was typed, else what the engine's own configuration says. */
#include "cli/engine.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE 10 /* seconds */

/* Longer than what cli_engine has room for, so that what is cut is too long there. */
struct guess {
        char url[1024];
        char source[512]; /* for people: who said so */
};

/* --- Flink's config.yaml --- */

/* Where a line of a YAML file of plain keys and values is. */
struct yaml {
        char path[256]; /* "rest.port": in one line, or `port` below `rest` */
        size_t depth, indent[8], end[8];
};

/* The value of a line, whose key is then in `path`; NULL: it has no key. */
static const char *yaml_line(struct yaml *yaml, const char *line)
{
        size_t indent = strspn(line, " "), n = strcspn(line + indent, ": \t\r\n#");
        const char *key = line + indent;
        if (n == 0 || key[n] != ':')
                return NULL;
        while (yaml->depth && yaml->indent[yaml->depth - 1] >= indent)
                yaml->depth--;
        size_t at = yaml->depth ? yaml->end[yaml->depth - 1] : 0, room = sizeof yaml->path - at;
        size_t size = (size_t)snprintf(yaml->path + at, room, "%s%.*s", at ? "." : "", (int)n, key);
        if (size >= room || yaml->depth == sizeof yaml->end / sizeof *yaml->end)
                return NULL;
        yaml->indent[yaml->depth] = indent;
        yaml->end[yaml->depth++] = at + size;
        return key + n + 1 + strspn(key + n + 1, " \t\"'");
}

static void of_flink(struct guess *ret)
{
        char line[512], manager[256] = "localhost", rest[256] = "", port[16] = "8081";
        const struct {
                const char *key;
                char *to;
                size_t len;
        } table[] = {{"jobmanager.rpc.address", manager, sizeof manager}, {"rest.address", rest, sizeof rest}, {"rest.port", port, sizeof port}};
        struct yaml yaml = {0};
        snprintf(ret->source, sizeof ret->source, "%s/config.yaml", getenv("FLINK_CONF_DIR") ?: "/etc/flink/conf");
        FILE *file = fopen(ret->source, "re");
        while (file && fgets(line, sizeof line, file)) {
                const char *value = yaml_line(&yaml, line);
                for (size_t i = 0; value && i < sizeof table / sizeof *table; i++)
                        if (strcmp(yaml.path, table[i].key) == 0)
                                snprintf(table[i].to, table[i].len, "%.*s", (int)strcspn(value, " \t\r\n\"'#"), value);
        }
        if (file)
                fclose(file);
        snprintf(ret->url, sizeof ret->url, "http://%s:%s", *rest ? rest : manager, port);
}

/* --- YARN's yarn-site.xml --- */

static void blank_comments(char *text)
{
        for (char *at = text; (at = strstr(at, "<!--"));) {
                const char *end = strstr(at, "-->");
                memset(at, ' ', end ? (size_t)(end + 3 - at) : strlen(at));
        }
}

/* What is between "<tag>" and the next "<", without blanks; "" without it before `end`. */
static void tag_text(const char *text, const char *end, const char *tag, char *ret, size_t len)
{
        const char *at = strstr(text, tag);
        *ret = '\0';
        if (!at || at >= end)
                return;
        at += strlen(tag);
        at += strspn(at, " \t\r\n");
        snprintf(ret, len, "%.*s", (int)strcspn(at, " \t\r\n<"), at);
}

/* The last property of a name counts, as for Hadoop; "" without one. */
static void property(const char *text, const char *name, const char *suffix, char *ret, size_t len)
{
        char wanted[128], found[128];
        const char *end;
        *ret = '\0';
        snprintf(wanted, sizeof wanted, "yarn.resourcemanager.%s%s", name, suffix);
        for (const char *at = text; (at = strstr(at, "<property>")) && (end = strstr(at, "</property>")); at = end) {
                tag_text(at, end, "<name>", found, sizeof found);
                if (strcmp(found, wanted) == 0)
                        tag_text(at, end, "<value>", ret, len);
        }
}

/* Of several ResourceManagers the first, which says where the active one is if it is not. */
static void of_yarn(struct guess *ret)
{
        char text[65536], ids[128], suffix[64] = "", host[256], address[512], variable[128];
        snprintf(ret->source, sizeof ret->source, "%s/yarn-site.xml", getenv("YARN_CONF_DIR") ?: getenv("HADOOP_CONF_DIR") ?: "/etc/hadoop/conf");
        FILE *file = fopen(ret->source, "re");
        text[file ? fread(text, 1, sizeof text - 1, file) : 0] = '\0';
        if (file)
                fclose(file);
        blank_comments(text);
        property(text, "ha.rm-ids", "", ids, sizeof ids);
        if (*ids)
                snprintf(suffix, sizeof suffix, ".%.*s", (int)strcspn(ids, ","), ids);
        property(text, "hostname", suffix, host, sizeof host);
        property(text, "webapp.address", suffix, address, sizeof address);
        snprintf(variable, sizeof variable, "${yarn.resourcemanager.hostname%s}", suffix);
        size_t n = strlen(variable);
        if (*address && !(*host && strncmp(address, variable, n) == 0))
                snprintf(ret->url, sizeof ret->url, "http://%s", address);
        else
                snprintf(ret->url, sizeof ret->url, "http://%s%s", *host ? host : "localhost", *address ? address + n : ":8088");
}

/* --- */

static void of_spark(struct guess *ret)
{
        snprintf(ret->source, sizeof ret->source, "SPARK_MASTER_HOST, SPARK_MASTER_WEBUI_PORT");
        snprintf(ret->url, sizeof ret->url, "http://%s:%s", getenv("SPARK_MASTER_HOST") ?: "localhost", getenv("SPARK_MASTER_WEBUI_PORT") ?: "8080");
}

static int wrong(const char *source, const char *url, const char *why)
{
        return cli_fail(CLI_USAGE, "%s: \"%s\" %s; type --url http://HOST:PORT", source, url, why);
}

/* Behind "http://": HOST, [V6] or either with :PORT, and perhaps a path of a proxy's. */
static int take_url(struct cli_engine *engine, const char *source, const char *url)
{
        if (strncmp(url, "https://", 8) == 0)
                return wrong(source, url, "would be asked without TLS, as all engines are");
        const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : "";
        bool quoted = *host == '[';
        size_t n = quoted ? strcspn(host + 1, "]/") : strcspn(host, ":/");
        if (n == 0 || url[strcspn(url, " \t\r\n@?#${}")] || (quoted && host[n + 1] != ']'))
                return wrong(source, url, "is no address");
        const char *rest = host + n + (quoted ? 2 : 0);
        size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
        if (*rest == ':' && (digits == 0 || digits > 5 || atoi(rest + 1) > 65535))
                return wrong(source, url, "has no port behind its colon");
        const char *path = *rest == ':' ? rest + 1 + digits : rest;
        if (*path && *path != '/')
                return wrong(source, url, "is no address");
        if (n >= sizeof engine->host || strlen(url) >= sizeof engine->url)
                return wrong(source, url, "is too long");
        snprintf(engine->host, sizeof engine->host, "%.*s", (int)n, host + quoted);
        snprintf(engine->port, sizeof engine->port, "%.*s", digits ? (int)digits : 2, digits ? rest + 1 : "80");
        n = strlen(url);
        snprintf(engine->url, sizeof engine->url, "%.*s", (int)(url[n - 1] == '/' ? n - 1 : n), url);
        return 0;
}

static void configured(const char *kind, struct guess *ret)
{
        if (strcmp(kind, "flink") == 0)
                of_flink(ret);
        else if (strcmp(kind, "yarn") == 0)
                of_yarn(ret);
        else
                of_spark(ret);
}

int cli_engine_find(struct cli_engine *engine, const char *typed)
{
        struct guess guess = {.source = "--url"};
        if (!typed)
                configured(engine->kind, &guess);
        clock_gettime(CLOCK_MONOTONIC, &engine->end);
        engine->end.tv_sec += PATIENCE;
        return take_url(engine, guess.source, typed ? typed : guess.url);
}
