from web.addresses import registry_url


def test_a_registry_url_is_made_of_the_host_the_resource_and_the_id(settings):
    settings.MAAS_API_ADDRESS = "registry.example:80"
    assert registry_url("ai_models", 3) == "http://registry.example:80/api/ai_models/3/"
