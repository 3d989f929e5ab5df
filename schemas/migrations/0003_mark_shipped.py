from django.db import migrations

# As they were shipped when there was nothing yet to tell them by.
SHIPPED = (
    "evaluating-from-pretrained-model",
    "inferencing-from-pretrained-model",
    "inferencing-from-pretrained-model-with-report-metadata",
    "joint-breast-cancer-mammography",
    "joint-breast-cancer-mammography-on-one-node",
    "training-from-pretrained-model",
    "training-from-pretrained-model-federated-learning",
    "training-from-scratch",
    "training-from-scratch-federated-learning",
)


def mark_shipped(apps, schema_editor):
    apps.get_model("schemas", "Schema").objects.filter(name__in=SHIPPED).update(is_shipped=True)


class Migration(migrations.Migration):

    dependencies = [
        ('schemas', '0002_versions'),
    ]

    operations = [
        migrations.RunPython(mark_shipped, migrations.RunPython.noop, elidable=True),
    ]
