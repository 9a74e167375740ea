using System.Net.Sockets;
using System.Text;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Hostile;

/// <summary>Clients that do not read, or do not finish what they send, hold nothing for long.</summary>
public sealed class SlowReaderTests
{
    [Fact]
    public async Task A_client_that_does_not_read_its_stream_is_given_up_and_its_request_cancelled()
    {
        await using var harness = await SiloHarness.StartPairAsync(
            options => options with { ReaderPatience = TimeSpan.FromSeconds(1.5) });
        harness.Decode.TokensPerRun = 64;
        var hold = harness.Prefill.Hold = new Hold(0);
        harness.Script = start => [.. Enumerable.Repeat(5, (int)start.MaxOutputTokens)];
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await client.ConnectAsync("127.0.0.1", harness.Silo.HttpPort);
        // Some megabytes of events: more than the sockets between the two take.
        const string Body = """{"prompt":[5],"stream":true,"max_tokens":2000,"n":8,"logprobs":20}""";
        await client.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + $"Content-Length: {Body.Length}\r\n\r\n{Body}"));
        await hold.Reached;
        Assert.Equal(1, harness.Door.InsideCount);
        hold.Release();

        await Eventually.UntilAsync(() => harness.Door.InsideCount == 0, "it was given up");

        await harness.UntilQuietAsync();
        (await harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":2}""")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_body_counts_while_it_is_there_and_not_longer()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var memory = harness.Silo.Services.GetRequiredService<BodyMemory>();
        var hold = harness.Prefill.Hold = new Hold(0);
        var body = $$"""{"prompt":[5],"max_tokens":2,"user":"{{new string('x', 100_000)}}"}""";

        var request = harness.PostAsync("/v1/completions", body);
        await hold.Reached;
        Assert.InRange(memory.Bytes, 100_000, 101_000);
        hold.Release();
        (await request).EnsureSuccessStatusCode();

        await Eventually.UntilAsync(() => memory.Bytes == 0, "the body is forgotten");
    }
}
