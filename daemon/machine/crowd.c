/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has how many descriptors is counted, since asking the kernel (reading /proc/self/fd) costs more
 * with every guest there is. A way that is on its way in is counted as the whole guest it may become.
 */
#include "daemon/machine/crowd.h"

/* With room for so many the trouble is over; for fewer it may be back with the next guest, and
 * would fill the log with coming and going. */
#define CROWD_MENDED_GUESTS 16

size_t machines_count_files(const Machines *machines) {
        return machines->n_runs + machines->n_ways_in[WAY_JOINED] +
               CROWD_FILES_PER_GUEST *
                       (machines->n_ways_in[WAY_CONNECTING] + machines->n_ways_in[WAY_ATTACHING]);
}

static bool crowd_has_room_for(Machines *machines, size_t n_guests) {
        size_t n = machines_count_files(machines) + n_guests * CROWD_FILES_PER_GUEST;

        return !machines->ops->has_room || machines->ops->has_room(n, machines->userdata);
}

bool crowd_has_room(Machines *machines) {
        if (crowd_has_room_for(machines, 1))
                return true;
        machines->crowded = true;
        problems_set(&machines->problems,
                     "descriptors",
                     "not every guest can be attached: each takes three of the files that tocsind may "
                     "have open (LimitNOFILE= of its unit)");
        return false;
}

static int crowd_dispatch(sd_event_source *source, void *userdata) {
        Machines *machines = userdata;

        while (!list_is_empty(&machines->crowd)) {
                Way *way = list_entry(machines->crowd.next, Way, crowd);

                if (!crowd_has_room_for(machines, 1))
                        return 0;
                crowd_remove(way);
                way_kick(way);
        }
        if (machines->attach && crowd_has_room_for(machines, 1))
                attach_socket_resume(machines->attach);
        if (crowd_has_room_for(machines, CROWD_MENDED_GUESTS)) {
                machines->crowded = false;
                problems_set(&machines->problems, "descriptors", NULL);
        }
        return 0;
}

void crowd_add(Way *way) {
        if (list_is_empty(&way->crowd))
                list_append(&way->machines->crowd, &way->crowd);
}

void crowd_remove(Way *way) {
        list_remove(&way->crowd);
}

void crowd_look(Machines *machines) {
        if (machines->crowded)
                (void) sd_event_source_set_enabled(machines->crowd_look, SD_EVENT_ONESHOT);
}

int crowd_new(Machines *machines) {
        int r;

        list_init(&machines->crowd);
        r = sd_event_add_defer(machines->event, &machines->crowd_look, crowd_dispatch, machines);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(machines->crowd_look, SD_EVENT_OFF);
}

void crowd_free(Machines *machines) {
        machines->crowd_look = sd_event_source_disable_unref(machines->crowd_look);
}
