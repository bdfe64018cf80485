/* statsfile.c - see statsfile.h. */
#include "vfs/statsfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/inode.h"

static int
make_text(struct vfs *vfs, enum stats_form form, char **text, size_t *size)
{
    FILE *stream = open_memstream(text, size);
    int result;

    if (!stream)
        return -ENOMEM;
    result = stats_print(vfs, vfs->source, form, stream);
    if (fclose(stream) != 0 && result == 0)
        result = -ENOMEM;
    if (result < 0)
        free(*text);
    return result;
}

/* NULL: no memory. */
static struct remains *
make_remains(const struct vfs *vfs, uint64_t ino, const char *text, size_t size)
{
    const struct attr_defaults *owner = &vfs->store->defaults;
    struct remains *remains;
    struct attr attr;

    attr_init(&attr, S_IFREG | 0400, owner->uid, owner->gid, ino, store_now());
    attr.data.size = size;
    remains = malloc(sizeof(*remains) + attr_encoded_size(&attr) + size);
    if (!remains)
        return NULL;
    *remains = (struct remains){.value_size = size};
    remains->attributes_size = attr_encode(&attr, remains->bytes);
    memcpy(remains->bytes + remains->attributes_size, text, size);
    return remains;
}

static int
enter(struct vfs *vfs, const struct node *directory, uint64_t ino, const char *text,
      size_t size, struct vfs_entry *entry)
{
    struct node_seed seed = {.ino = ino, .view = directory->view, .realm = REALM_STATS};
    struct remains *remains = make_remains(vfs, ino, text, size);
    int result;

    if (!remains)
        return -ENOMEM;
    entry->node = nodes_add(vfs->nodes, &seed);
    if (!entry->node) {
        remains_free(remains);
        return -ENOMEM;
    }
    entry->node->unlinked = true;
    remains_set(vfs, entry->node, remains);
    result = vfs_getattr(vfs, entry->node, &entry->stat, NULL);
    if (result < 0)
        node_unref(vfs->nodes, entry->node, 1);
    return result;
}

int
statsfile_lookup(struct vfs *vfs, const struct node *directory, struct lsmkv_slice name,
                 struct vfs_entry *entry)
{
    enum stats_form form = 0;
    char *text;
    size_t size;
    int result;

    while (form < STATS_FORMS &&
           (strlen(stats_file_name(form)) != name.size ||
            memcmp(stats_file_name(form), name.data, name.size) != 0))
        form++;
    if (form == STATS_FORMS || directory->view != &vfs->live)
        return -ENOENT;
    op_step_aside(vfs); /* it looks at files */
    result = make_text(vfs, form, &text, &size);
    if (result < 0)
        return result;
    result = enter(vfs, directory, STATSFILE_INO(form), text, size, entry);
    free(text);
    return result;
}
