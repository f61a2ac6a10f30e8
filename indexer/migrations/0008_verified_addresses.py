"""Which address of a person somebody has verified, and who. On SQLite a new column of
the action log makes the table anew, so the trigger that keeps it is taken off before
and put on after, with the new column."""

from importlib import import_module

from django.db import migrations, models

kept = import_module("indexer.migrations.0007_action_log_kept")
KEPT = (*kept.KEPT, "email_verified_by")


def keep(apps, schema_editor):
    kept.keep(apps, schema_editor, KEPT)


class Migration(migrations.Migration):
    dependencies = [("indexer", "0007_action_log_kept")]
    operations = [
        migrations.AddField(
            model_name="providertoken",
            name="emails",
            field=models.JSONField(default=list),
        ),
        migrations.RunPython(kept.let_go, kept.keep),
        migrations.AddField(
            model_name="actionlog",
            name="email_verified_by",
            field=models.CharField(blank=True, default="", max_length=255),
        ),
        migrations.RunPython(keep, kept.let_go),
    ]
