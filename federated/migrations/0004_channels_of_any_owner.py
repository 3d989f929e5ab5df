from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("federated", "0003_help_texts"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="channel", name="federated_channel_execution"),
        migrations.RenameField(model_name="channel", old_name="execution_id", new_name="owner_id"),
        migrations.AddField(
            model_name="channel",
            name="owner_kind",
            # Until now executions alone had channels.
            field=models.CharField(max_length=40, default="execution"),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name="channel",
            index=models.Index(fields=["owner_kind", "owner_id"], name="federated_channel_owner"),
        ),
    ]
