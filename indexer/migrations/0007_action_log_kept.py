"""What has ended in the action log stays as it is: the database itself refuses to
change it. Only the links to a person and a repository that go become null.

A later migration that makes Django rebuild this table on SQLite (AlterField,
RemoveField) drops the trigger with the old table: run `keep` again after it."""

from django.db import migrations

TABLE = "indexer_actionlog"
KEPT = (
    "uuid", "key", "wish", "verb", "status", "actor", "via", "token_name",
    "remote_address", "right", "repository_name", "artifact", "version", "stage",
    "asked", "seen", "tag", "commit_id", "message", "tagger_name", "tagger_email",
    "seconds", "not_before", "path", "before_blob", "content", "branch", "into",
    "title", "object_id", "html", "code", "sentence", "asked_at", "sent_at",
    "ended_at", "tries",
)
WORDS = "The action log is never rewritten."


def keep(apps, schema_editor, names=KEPT):
    columns = ", ".join(f'"{name}"' for name in names)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE FUNCTION muster_action_log_kept() RETURNS trigger "
            f"LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{WORDS}'; END $$"
        )
        schema_editor.execute(
            f"CREATE TRIGGER action_log_kept BEFORE UPDATE OF {columns} ON {TABLE} "
            "FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) "
            "EXECUTE FUNCTION muster_action_log_kept()"
        )
    else:
        schema_editor.execute(
            f"CREATE TRIGGER action_log_kept BEFORE UPDATE OF {columns} ON {TABLE} "
            "WHEN OLD.ended_at IS NOT NULL "
            f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
        )


def let_go(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER action_log_kept ON {TABLE}")
        schema_editor.execute("DROP FUNCTION muster_action_log_kept()")
    else:
        schema_editor.execute("DROP TRIGGER action_log_kept")


class Migration(migrations.Migration):
    dependencies = [("indexer", "0006_action_log")]
    operations = [migrations.RunPython(keep, let_go)]
