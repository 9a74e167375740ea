using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>
/// What <c>krewe cluster up</c> starts: Redis, three silos, a prefill and two decode workers. Disposing ends all.
/// </summary>
public sealed class SiloCluster : IAsyncDisposable
{
    public const int Silos = 3;

    private readonly DirectoryInfo _folder;
    private readonly HttpClient[] _clients;

    private SiloCluster(DirectoryInfo folder, int port)
    {
        _folder = folder;
        _clients = [.. Enumerable.Range(0, Silos).Select(silo => new HttpClient
        {
            BaseAddress = new Uri($"http://127.0.0.1:{port + silo}"),
            Timeout = Patience.Hang,
        })];
    }

    public static async Task<SiloCluster> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("krewe-cluster-");
        var cluster = new SiloCluster(folder, Ports.Free(Silos));
        try
        {
            var (code, _, log) = await KreweProcess.RunAsync(
                "cluster", "up", "--dir", folder.FullName,
                "--port", cluster._clients[0].BaseAddress!.Port.ToString(CultureInfo.InvariantCulture));
            Assert.True(code == 0, $"{log}\n{cluster.Logs()}");
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    public HttpClient Client(int silo) => _clients[silo];

    /// <summary>kill -9 of one process; its name as <c>krewe cluster status</c> shows it.</summary>
    public void Kill(string name) => Signals.Kill(Member(name).GetProperty("Pid").GetInt32());

    /// <summary>SIGTERM.</summary>
    public void Terminate(string name) => Signals.Terminate(Member(name).GetProperty("Pid").GetInt32());

    /// <summary>Waits until this silo serves and sees this, as /v1/cluster tells it.</summary>
    public async Task WhenAsync(int silo, Func<JsonElement, bool> wanted, string what)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            using var state = await _clients[silo].GetAsync("/v1/cluster");
            using var ready = await _clients[silo].GetAsync("/health/ready");
            var text = await state.Content.ReadAsStringAsync();
            if (state.IsSuccessStatusCode && ready.IsSuccessStatusCode)
            {
                using var json = JsonDocument.Parse(text);
                if (wanted(json.RootElement)) return;
            }

            Assert.True(clock.Elapsed < Patience.Hang, $"not seen: {what}; {text}\n{Logs()}");
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>Starts a Redis in the place of the one that was killed, with its files.</summary>
    public KreweProcess RestartRedis() => KreweProcess.StartProgram(
        "redis-server", "--port", Member("redis").GetProperty("Address").GetString()!.Split(':')[1],
        "--bind", "127.0.0.1", "--dir", Path.Combine(_folder.FullName, "redis"), "--appendonly", "yes", "--save", "");

    /// <summary>A streamed completion that its client may resume.</summary>
    public async Task<HttpResponseMessage> OpenAsync(int silo, string key, int tokens, int seed)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        message.Headers.Add("Idempotency-Key", key);
        message.Content = JsonContent.Create(new JsonObject
        {
            ["prompt"] = new JsonArray([.. new Prompts(seed).OfLength(40).Select(token => (JsonNode)token)]),
            ["max_tokens"] = tokens,
            ["temperature"] = 1,
            ["seed"] = seed,
            ["ignore_eos"] = true,
            ["return_token_ids"] = true,
            ["stream"] = true,
        });
        return await _clients[silo].SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>What follows an event of the stream, through any silo; asks again while it is told to come later.
    /// </summary>
    public async Task<string> ResumeAsync(int silo, string id, string? after)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            using var message = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream");
            if (after is not null) message.Headers.Add("Last-Event-ID", after);
            using var response = await _clients[silo].SendAsync(message);
            var text = await response.Content.ReadAsStringAsync();
            if (response.IsSuccessStatusCode) return text;
            Assert.True(response.StatusCode == HttpStatusCode.ServiceUnavailable, $"{text}\n{Logs()}");
            Assert.True(clock.Elapsed < Patience.Hang, $"{text}\n{Logs()}");
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>Reads to the end, or to where the connection broke; whole events only.</summary>
    public static async Task<string> ReadEventsAsync(HttpResponseMessage response)
    {
        var text = new StringBuilder();
        try
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            var buffer = new char[4096];
            while (await reader.ReadAsync(buffer.AsMemory()) is > 0 and var read) text.Append(buffer, 0, read);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // Its silo died.
        }

        var whole = text.ToString();
        return whole[..(whole.LastIndexOf("\n\n", StringComparison.Ordinal) is >= 0 and var end ? end + 2 : 0)];
    }

    public static bool IsWhole(string events) => events.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal);

    /// <summary>The number of the last event; null for none.</summary>
    public static string? LastId(string events) => events.Split('\n')
        .LastOrDefault(line => line.StartsWith("id: ", StringComparison.Ordinal))?["id: ".Length..];

    public string Logs()
    {
        var text = new StringBuilder();
        var logs = Path.Combine(_folder.FullName, "logs");
        foreach (var file in Directory.Exists(logs) ? Directory.GetFiles(logs) : [])
        {
            text.Append(Path.GetFileName(file)).Append('\n');
            foreach (var line in File.ReadLines(file).TakeLast(25)) text.Append("  ").Append(line).Append('\n');
        }

        return text.ToString();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients) client.Dispose();
        await KreweProcess.RunAsync("cluster", "down", "--dir", _folder.FullName);
        _folder.Delete(recursive: true);
    }

    private JsonElement Member(string name)
    {
        using var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder.FullName, "cluster.json")));
        return state.RootElement.EnumerateArray()
            .Single(member => member.GetProperty("Name").GetString() == name).Clone();
    }
}
