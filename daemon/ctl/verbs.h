/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One function a verb, see the table in main.c. */
#include "daemon/ctl/ctl.h"

int verb_status(Ctl *ctl, int argc, char **argv);
int verb_machines(Ctl *ctl, int argc, char **argv);
int verb_policy(Ctl *ctl, int argc, char **argv);
int verb_hold(Ctl *ctl, int argc, char **argv);
int verb_reset_action(Ctl *ctl, int argc, char **argv);
int verb_incidents(Ctl *ctl, int argc, char **argv);
int verb_explain(Ctl *ctl, int argc, char **argv);
int verb_monitor(Ctl *ctl, int argc, char **argv);
int verb_record(Ctl *ctl, int argc, char **argv);
int verb_top(Ctl *ctl, int argc, char **argv);
int verb_attach(Ctl *ctl, int argc, char **argv);
int verb_decode(Ctl *ctl, int argc, char **argv);
int verb_report(Ctl *ctl, int argc, char **argv);
int verb_plugins(Ctl *ctl, int argc, char **argv);
int verb_plugin(Ctl *ctl, int argc, char **argv);
int verb_sources(Ctl *ctl, int argc, char **argv);
int verb_watchdogs(Ctl *ctl, int argc, char **argv);
int verb_config(Ctl *ctl, int argc, char **argv);

/* Writes a new plugin into a folder of that name; an exit status. */
int verb_new_plugin(Ctl *ctl, const char *name, const char *language);

/* The record of an incident, by its number as it was typed; an exit status. */
int verb_query_incident(Ctl *ctl, const char *id, json_object **ret);
/* The same as it came. */
int verb_query_incident_raw(Ctl *ctl, const char *id, json_object **ret);
/* The report on an incident, of a record that has been escaped; an exit status. */
int verb_write_report(Ctl *ctl, json_object *incident, Text *text);
/* `export N [FILE]`, with the word itself; an exit status. */
int verb_export_incident(Ctl *ctl, int argc, char **argv);
