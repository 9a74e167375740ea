using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Krewe.Control.Access;

namespace Krewe.Silo.Tests.Harness;

/// <summary>A file of API keys in a folder of its own.</summary>
internal sealed class KeyFile : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-keys-");
    private readonly JsonArray _keys = [];
    private readonly JsonObject _tenants = [];

    public string Path => System.IO.Path.Combine(_folder.FullName, "keys.json");

    public string Folder => _folder.FullName;

    /// <summary>The key that <see cref="Add"/> gives this name.</summary>
    public static string KeyOf(string name) => $"krewe-test-key-of-{name}";

    public KeyFile Add(string name, string tenant, params string[] roles)
    {
        _keys.Add((JsonNode)new JsonObject
        {
            ["name"] = name,
            ["sha256"] = Convert.ToHexStringLower(ApiKey.HashOf(KeyOf(name))),
            ["tenant"] = tenant,
            ["roles"] = new JsonArray([.. roles.Select(role => (JsonNode)role)]),
        });
        return Write();
    }

    public KeyFile Limit(string tenant, JsonObject limits)
    {
        _tenants[tenant] = limits;
        return Write();
    }

    /// <summary>One of each role.</summary>
    public static KeyFile OfRoles() => new KeyFile()
        .Add("user", "acme", "inference").Add("other", "globex", "inference").Add("ops", "house", "operator")
        .Add("root", "house", "admin");

    public void Dispose() => _folder.Delete(recursive: true);

    private KeyFile Write()
    {
        File.WriteAllText(Path, new JsonObject
        {
            ["keys"] = _keys.DeepClone(),
            ["tenants"] = _tenants.DeepClone(),
        }.ToJsonString());
        return this;
    }
}

/// <summary>Requests of a key's holder.</summary>
internal static class KeyedRequests
{
    public static Task<HttpResponseMessage> SendAsync(
        this SiloHarness harness, string? name, HttpMethod method, string path, string? json = null,
        Action<HttpRequestMessage>? change = null)
    {
        var request = new HttpRequestMessage(method, path);
        if (name is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", KeyFile.KeyOf(name));
        if (json is not null) request.Content = new StringContent(json, new MediaTypeHeaderValue("application/json"));
        change?.Invoke(request);
        return harness.Client.SendAsync(request);
    }

    public static Task<HttpResponseMessage> PostAsAsync(
        this SiloHarness harness, string name, string path, string json, Action<HttpRequestMessage>? change = null) =>
        harness.SendAsync(name, HttpMethod.Post, path, json, change);

    public static Task<HttpResponseMessage> GetAsAsync(this SiloHarness harness, string? name, string path) =>
        harness.SendAsync(name, HttpMethod.Get, path);
}
