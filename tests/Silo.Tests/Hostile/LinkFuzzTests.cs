using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Krewe.Abstractions.Wire;
using Krewe.Silo.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.Silo.Tests.Hostile;

/// <summary>Bytes that no worker would send cost their own connection and nothing else.</summary>
public sealed class LinkFuzzTests(ITestOutputHelper output)
{
    private const int Seed = 20_261_129;

    private static int Count => Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1" ? 2_000 : 150;

    [Fact]
    public async Task Random_frames_before_the_hello_are_dropped_and_the_workers_stay()
    {
        output.WriteLine($"seed {Seed}, {Count} connections");
        await using var harness = await SiloHarness.StartPairAsync();
        var random = new Random(Seed);

        for (var i = 0; i < Count; i++) await SendAsync(harness, NextFrame(random));

        await AssertServesAsync(harness);
    }

    [Fact]
    public async Task A_worker_that_talks_nonsense_behind_its_hello_disturbs_no_other()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var random = new Random(Seed + 1);
        // On the two sound workers, and there for as long as the others talk.
        var hold = harness.Decode.Hold = new Hold(3);
        var live = harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":50}""");
        await hold.Reached;

        for (var i = 0; i < Count / 10; i++)
        {
            var worker = harness.Create($"odd-{i}", WorkerRole.Mixed);
            Assert.True((await worker.ConnectAsync()).Accepted);
            try
            {
                for (var messages = 0; messages < 20; messages++) await worker.SendAsync(NextMessage(random));
            }
            catch (IOException)
            {
                // The silo has had enough of it.
            }

            await worker.KillAsync();
        }

        hold.Release();
        (await live).EnsureSuccessStatusCode();
        await AssertServesAsync(harness);
    }

    private static async Task AssertServesAsync(SiloHarness harness)
    {
        await Eventually.UntilAsync(
            () => harness.View.Links.Select(link => link.Worker.WorkerId).SequenceEqual(["decode-0", "prefill-0"]),
            "the two sound workers are there, and no other");
        using var response = await harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":50}""");
        Assert.Equal(SiloHarness.Answer, (await Json.OfAsync(response)).Text("choices.0.text"));
    }

    private static async Task SendAsync(SiloHarness harness, byte[] bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, harness.Silo.LinkPort);
        var stream = client.GetStream();
        var buffer = new byte[4096];
        try
        {
            await stream.WriteAsync(bytes);
            client.Client.Shutdown(SocketShutdown.Send);
            while (await stream.ReadAsync(buffer).AsTask().InTime() > 0)
            {
                // A refusal, perhaps; then the end.
            }
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // Cut by the silo.
        }
    }

    private static byte[] NextFrame(Random random)
    {
        var body = random.Next(3) switch
        {
            0 => NextMessage(random).ToByteArray(),
            1 => new WorkerMessage
            {
                Hello = new Hello { Protocol = (uint)random.Next(3), WorkerId = "x" },
            }.ToByteArray(),
            _ => RandomBytes(random, random.Next(300)),
        };
        var length = random.Next(4) switch
        {
            0 => random.Next(),
            1 => -random.Next(),
            2 => random.Next(body.Length + 1),
            _ => body.Length,
        };
        var frame = new byte[4 + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, length);
        body.CopyTo(frame, 4);
        if (random.Next(3) == 0 && body.Length > 0) frame[4 + random.Next(body.Length)] ^= (byte)random.Next(1, 256);
        return frame;
    }

    private static WorkerMessage NextMessage(Random random)
    {
        var key = random.Next(3) == 0
            ? null
            : new SequenceKey
            {
                RequestId = "nobody",
                Choice = (uint)random.Next(-1, 3),
                Epoch = (uint)random.Next(-1, 3),
            };
        switch (random.Next(4))
        {
            case 0:
                return new WorkerMessage
                {
                    Load = new LoadReport
                    {
                        FreeBlocks = uint.MaxValue,
                        RunningSequences = uint.MaxValue,
                        StepMs = float.NaN,
                    },
                };
            case 1:
                var run = new TokenRun
                {
                    Key = key,
                    FirstIndex = (uint)random.Next(),
                    Finish = (FinishReason)random.Next(9),
                };
                run.Tokens.AddRange([uint.MaxValue, (uint)random.Next()]);
                return new WorkerMessage { Tokens = new TokenBatch { Runs = { run } } };
            case 2:
                var prompt = new PromptRun { Key = key, FirstIndex = (uint)random.Next() };
                return new WorkerMessage { Tokens = new TokenBatch { Prompts = { prompt } } };
            default:
                return new WorkerMessage
                {
                    Event = new SequenceEvent
                    {
                        Key = key,
                        Kind = (SequenceEventKind)random.Next(12),
                        ErrorCode = "nonsense",
                    },
                };
        }
    }

    private static byte[] RandomBytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }
}
