using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// The other process of <c>krewe bench handoff</c>: prefills and holds what it is told to. One command a line on its
/// input, one answer a line on its output.
/// </summary>
public static class HandoffBenchSource
{
    /// <summary>Serves until the input ends.</summary>
    public static async Task RunAsync(
        HandoffBenchSettings settings, KvTransport transport, TextReader input, TextWriter output, TimeProvider time,
        ILogger logger, CancellationToken cancellationToken)
    {
        await using var node = HandoffNode.Open(settings, transport, seed: 1, time, logger);
        using var raw = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        raw.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        raw.Listen();
        await SayAsync($"{node.Port} {((IPEndPoint)raw.LocalEndPoint!).Port}");
        while (await input.ReadLineAsync(cancellationToken) is { } line)
        {
            var (command, argument) = (line.Split(' ')[0], line.Split(' ')[1]);
            var owner = new WaitingOwner(time);
            switch (command)
            {
                case "prefill":
                    node.Start(owner, argument, SequencePart.Prefill, settings.PromptTokens);
                    await owner.WhenAsync(SequenceEventKind.PrefillFinished, cancellationToken);
                    break;
                case "whole":
                    node.Start(owner, argument, SequencePart.Whole, settings.PromptTokens);
                    await owner.WhenAsync(SequenceEventKind.PrefillFinished, cancellationToken);
                    break;
                case "raw": RawSockets.Serve(raw, node.Runner.Kv, long.Parse(argument, provider: null), 1); break;
                case "lanes":
                    RawSockets.Serve(raw, node.Runner.Kv, long.Parse(argument, provider: null), settings.Connections);
                    break;
                default: throw new ArgumentOutOfRangeException(nameof(input), command, "No such command.");
            }

            await SayAsync("done");
            if (command == "whole") await owner.WhenAsync(SequenceEventKind.Released, cancellationToken);
        }

        async Task SayAsync(string line)
        {
            await output.WriteLineAsync(line.AsMemory(), cancellationToken);
            await output.FlushAsync(cancellationToken);
        }
    }
}
