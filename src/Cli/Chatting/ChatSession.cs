using System.Text;

namespace Krewe.Cli;

/// <summary>A conversation at the terminal: one line in, one streamed answer out, until the input ends.</summary>
internal sealed class ChatSession(
    ChatClient client, Terminal terminal, string model, string? system, ChatSampling sampling)
{
    private readonly List<ChatTurn> _turns = Start(system);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        terminal.Error.WriteLine($"{model}. /reset starts anew, /exit ends.");
        while (await ReadAsync(cancellationToken) is { } line)
        {
            if (line == "/exit") return;
            if (line == "/reset")
            {
                _turns.Clear();
                _turns.AddRange(Start(system));
            }
            else if (line.Length > 0)
            {
                await AskAsync(line, cancellationToken);
            }
        }
    }

    /// <summary>One turn; an answer that fails leaves the conversation as it was.</summary>
    public async Task AskAsync(string question, CancellationToken cancellationToken)
    {
        var request = new ChatRequest
        {
            Model = model,
            Messages = [.. _turns, new ChatTurn("user", question)],
            MaxTokens = sampling.MaxTokens,
            Temperature = sampling.Temperature,
            Seed = sampling.Seed,
        };
        var answer = new StringBuilder();
        await foreach (var piece in client.StreamAsync(request, cancellationToken))
        {
            answer.Append(piece);
            terminal.Out.Write(piece);
            terminal.Out.Flush();
        }

        terminal.Out.WriteLine();
        _turns.Add(new ChatTurn("user", question));
        _turns.Add(new ChatTurn("assistant", answer.ToString()));
    }

    private async Task<string?> ReadAsync(CancellationToken cancellationToken)
    {
        terminal.Error.Write("> ");
        terminal.Error.Flush();
        var line = await Task.Run(() => terminal.In.ReadLine(), CancellationToken.None).WaitAsync(cancellationToken);
        return line?.Trim();
    }

    private static List<ChatTurn> Start(string? system) => system is null ? [] : [new ChatTurn("system", system)];
}
