from django.db import migrations, models
from django.db.models import F, Value
from django.db.models.functions import Concat, Substr

_BEFORE, _NOW = "workflow:", "workflow:execution:"


def name_the_kind(apps, schema_editor):
    """Workflows that run through the upgrade send their keys again: they are found under the new names."""
    records = apps.get_model("orchestrator_api", "IdempotencyRecord").objects.filter(principal__startswith=_BEFORE)
    records.update(principal=Concat(Value(_NOW), Substr(F("principal"), len(_BEFORE) + 1)))


def leave_it_out(apps, schema_editor):
    records = apps.get_model("orchestrator_api", "IdempotencyRecord").objects.filter(principal__startswith=_NOW)
    records.update(principal=Concat(Value(_BEFORE), Substr(F("principal"), len(_NOW) + 1)))


class Migration(migrations.Migration):
    dependencies = [
        ("orchestrator_api", "0003_login_counters"),
    ]

    operations = [
        migrations.AlterField(
            model_name="idempotencyrecord",
            name="principal",
            field=models.CharField(help_text="Who sent it; a key is theirs alone.", max_length=150),
        ),
        migrations.RunPython(name_the_kind, leave_it_out),
    ]
