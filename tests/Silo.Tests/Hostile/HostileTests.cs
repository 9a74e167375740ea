using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Krewe.Silo.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.Silo.Tests.Hostile;

/// <summary>
/// Malformed and hostile requests get a 4xx or an answer, never a 5xx and never silence, and the good requests beside
/// them are answered. <c>./krewe test --long</c> sends ten thousand of them.
/// </summary>
public sealed class HostileTests(ITestOutputHelper output)
{
    private const int Seed = 20_261_128;
    private const int Attackers = 8;
    private const int GoodMin = 6;

    private static readonly string[] Paths =
    [
        "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens",
        "/tokenize", "/detokenize", "/v1/embeddings",
    ];

    private int _answered;

    private static int Count => Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1" ? 10_000 : 800;

    [Fact]
    public async Task Hostile_bodies_never_get_a_5xx_and_never_hang()
    {
        output.WriteLine($"seed {Seed}, {Count} requests");
        await using var harness = await SiloHarness.StartPairAsync();
        using var over = new CancellationTokenSource();
        var good = GoodTrafficAsync(harness, over.Token);

        var statuses = (await Task.WhenAll(Enumerable.Range(0, Attackers).Select(
            attacker => AttackAsync(harness, Seed + attacker, Count / Attackers, good))))
            .SelectMany(seen => seen).ToList();
        await over.CancelAsync();

        await good;
        output.WriteLine(string.Join(", ", statuses.CountBy(status => (int)status)));
        output.WriteLine($"{_answered} good requests were answered beside them");
        Assert.True(_answered >= GoodMin, $"only {_answered} good requests came through");
        Assert.Contains(HttpStatusCode.BadRequest, statuses);
        Assert.Contains(HttpStatusCode.OK, statuses);
        await harness.UntilQuietAsync();
        Assert.Equal(0, harness.Counters.Contradicting);
    }

    [Theory]
    [InlineData("GET /\r\n\r\n")]
    [InlineData("\0\0\0\0\r\n\r\n")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"pro\r\nffffffffffffff\r\n")]
    [InlineData("GET /v1/requests/%00%ff/stream HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("GET /v1/models/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("POST /v1/completions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: \r\nContent-Length: 2\r\n\r\n{}")]
    public async Task Bytes_that_are_no_request_get_a_4xx_or_the_door(string bytes)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        var answer = await SendRawAsync(harness, Encoding.Latin1.GetBytes(bytes));

        AssertRefused(answer);
        (await harness.PostAsync("/v1/completions", """{"prompt":[5]}""")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Floods_of_headers_are_refused()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var many = string.Concat(Enumerable.Range(0, 500).Select(i => $"X-{i}: {i}\r\n"));
        var large = $"X-Large: {new string('x', 200_000)}\r\n";
        var path = new string('x', 100_000);

        AssertRefused(await SendRawAsync(harness, Encoding.ASCII.GetBytes($"GET /health HTTP/1.1\r\n{many}\r\n")));
        AssertRefused(await SendRawAsync(harness, Encoding.ASCII.GetBytes($"GET /health HTTP/1.1\r\n{large}\r\n")));
        AssertRefused(await SendRawAsync(harness, Encoding.ASCII.GetBytes($"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n")));
    }

    [Fact]
    public async Task Clients_that_send_half_a_body_and_wait_hold_up_nobody()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        List<TcpClient> slow = [];
        for (var i = 0; i < 50; i++)
        {
            var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, harness.Silo.HttpPort);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                + "Content-Length: 1000\r\n\r\n{\"prompt\":"));
            slow.Add(client);
        }

        (await harness.PostAsync("/v1/completions", """{"prompt":[5]}""").InTime()).EnsureSuccessStatusCode();
        await harness.UntilQuietAsync();

        // The server gives them up by itself: each connection ends, with an error or without a word.
        var ends = await Task.WhenAll(slow.Select(client => ReadToEndAsync(client.GetStream()))).InTime();
        Assert.All(ends, AssertRefused);
        foreach (var client in slow) client.Dispose();
    }

    [Fact]
    public void A_server_error_would_be_seen()
    {
        // The positive control of what the tests above look for.
        Assert.ThrowsAny<Exception>(() => AssertRefused("HTTP/1.1 500 Internal Server Error"));
    }

    /// <summary>So many hostile requests, and more until the good ones beside them have been answered too.</summary>
    private async Task<List<HttpStatusCode>> AttackAsync(SiloHarness harness, int seed, int count, Task good)
    {
        var bodies = new HostileBodies(seed);
        var random = new Random(seed);
        List<HttpStatusCode> seen = [];
        for (var i = 0; i < count || (Volatile.Read(ref _answered) < GoodMin && !good.IsCompleted); i++)
        {
            var (path, body) = (Paths[random.Next(Paths.Length)], bodies.Next());
            using var content = new ByteArrayContent(body);
            content.Headers.ContentType = new("application/json");
            var said = $"{path} {Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, 300)))}";
            using var response = await InTimeAsync(harness.Client.PostAsync(path, content), said);
            var answer = await InTimeAsync(response.Content.ReadAsByteArrayAsync(), said);
            Assert.True((int)response.StatusCode < 500, $"seed {seed}, request {i}: {response.StatusCode} to {said}");
            if (!response.IsSuccessStatusCode)
            {
                using var error = JsonDocument.Parse(answer);
                Assert.NotEmpty(error.RootElement.At("error").Text("message")!);
            }

            seen.Add(response.StatusCode);
        }

        return seen;
    }

    /// <summary>A hang is told with the request that hangs.</summary>
    private static async Task<T> InTimeAsync<T>(Task<T> answer, string said)
    {
        try
        {
            return await answer.InTime();
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"No answer to {said}", e);
        }
    }

    private async Task GoodTrafficAsync(SiloHarness harness, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            using var response = await harness.PostAsync(
                "/v1/completions", """{"prompt":[5],"max_tokens":50}""").InTime();
            var answer = await Json.OfAsync(response);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(SiloHarness.Answer, answer.Text("choices.0.text"));
            Interlocked.Increment(ref _answered);
        }
    }

    /// <summary>A refusal, or an end of the connection without a word; never a server error.</summary>
    private static void AssertRefused(string answer) => Assert.True(
        answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal),
        answer[..Math.Min(answer.Length, 200)]);

    private static async Task<string> SendRawAsync(SiloHarness harness, byte[] bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, harness.Silo.HttpPort);
        var stream = client.GetStream();
        try
        {
            await stream.WriteAsync(bytes);
            client.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // It has refused before all of it was sent.
        }

        return await ReadToEndAsync(stream);
    }

    private static async Task<string> ReadToEndAsync(NetworkStream stream)
    {
        using var text = new MemoryStream();
        try
        {
            await stream.CopyToAsync(text).InTime();
        }
        catch (IOException)
        {
            // Cut by the server.
        }

        return Encoding.Latin1.GetString(text.ToArray());
    }
}
