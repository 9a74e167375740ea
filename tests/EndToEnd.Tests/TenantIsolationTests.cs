using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>Two tenants on real workers: neither finds a trace of the other, no log has a prompt or a key.</summary>
public sealed class TenantIsolationTests : IDisposable
{
    private const string Secret = "the vault of Zanzibar opens with seven turns and a whisper";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-tenants-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_tenant_finds_no_trace_of_another_and_no_log_has_a_prompt_or_a_key()
    {
        var keys = Path.Combine(_folder.FullName, "keys.json");
        var (first, second) = (await MakeKeyAsync(keys, "first", "one"), await MakeKeyAsync(keys, "second", "two"));
        var operations = await MakeKeyAsync(keys, "ops", "house", "operator");
        await using var serve = KreweProcess.Start(
        [
            "serve", "--port", "0", "--api-keys", keys, "--verbose", "--kv-host-bytes", "16MiB",
            "--data", Path.Combine(_folder.FullName, "data"),
        ]);
        var ready = await serve.WaitForLineAsync(
            line => line.StartsWith("Krewe is ready", StringComparison.Ordinal));
        using var http = new HttpClient { BaseAddress = new Uri(ready.Split(' ')[4]) };

        // Long enough for several blocks.
        var prompt = string.Join(' ', Enumerable.Repeat(Secret, 12));
        var cold = await AskAsync(http, first, prompt);
        var warm = await AskAsync(http, first, prompt);
        var other = await AskAsync(http, second, prompt);

        // The positive control: its own tenant does find it.
        Assert.True(Cached(warm) >= 64, $"{Cached(warm)} tokens cached");
        Assert.Equal(0, Cached(cold));
        Assert.Equal(0, Cached(other));
        Assert.Equal(Text(cold), Text(other));

        var id = cold.GetProperty("id").GetString()!;
        Assert.Equal(404, await StatusAsync(http, second, $"/v1/requests/{id}"));
        Assert.Equal(200, await StatusAsync(http, first, $"/v1/requests/{id}"));
        Assert.Equal(401, await StatusAsync(http, "krewe-no-such-key-anywhere", "/v1/models"));
        Assert.Equal(403, await StatusAsync(http, first, "/v1/cluster"));
        Assert.Equal(200, await StatusAsync(http, operations, "/v1/cluster"));
        using var wrong = await SendAsync(http, first, new { prompt, temperature = -7 });
        var error = await wrong.Content.ReadAsStringAsync();

        var log = serve.Log;
        Assert.Contains(" debug ", log, StringComparison.Ordinal); // --verbose does log
        foreach (var text in (string[])[log, error])
        {
            Assert.DoesNotContain("Zanzibar", text, StringComparison.OrdinalIgnoreCase);
            foreach (var key in (string[])[first, second, operations, "krewe-no-such-key-anywhere"])
                Assert.DoesNotContain(key, text, StringComparison.Ordinal);
        }
    }

    private static async Task<string> MakeKeyAsync(string file, string name, string tenant, string role = "inference")
    {
        var (code, output, log) = await KreweProcess.RunAsync(
            "keys", "make", "--file", file, "--name", name, "--tenant", tenant, "--role", role);
        Assert.True(code == 0, log);
        var key = output.Trim();
        Assert.StartsWith("krewe-", key, StringComparison.Ordinal);
        Assert.DoesNotContain(key, await File.ReadAllTextAsync(file), StringComparison.Ordinal);
        return key;
    }

    private static async Task<JsonElement> AskAsync(HttpClient http, string key, string prompt)
    {
        using var answer = await SendAsync(http, key, new { prompt, max_tokens = 8, temperature = 0 });
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient http, string key, object body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http.SendAsync(request);
    }

    private static async Task<int> StatusAsync(HttpClient http, string key, string path)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var answer = await http.SendAsync(request);
        return (int)answer.StatusCode;
    }

    private static int Cached(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details")
        .GetProperty("cached_tokens").GetInt32();

    private static string Text(JsonElement answer) =>
        answer.GetProperty("choices")[0].GetProperty("text").GetString()!;
}
