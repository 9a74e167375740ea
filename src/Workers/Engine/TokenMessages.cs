using Google.Protobuf;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// Messages of tokens that are filled again when they have been sent: in steady state a step makes none. One thread
/// takes, another gives back.
/// </summary>
internal sealed class TokenMessages
{
    /// <summary>Beyond these a burst's messages are left to the collector.</summary>
    private const int KeptMax = 1024;

    private readonly Lock _lock = new();
    private readonly Stack<WorkerMessage> _messages = new();
    private readonly Stack<TokenBatch> _batches = new();
    private readonly Stack<TokenRun> _runs = new();

    public WorkerMessage TakeMessage() => Take(_messages);

    public TokenBatch TakeBatch() => Take(_batches);

    public TokenRun TakeRun() => Take(_runs);

    /// <summary>Nobody reads the message any more. One that carries no tokens is not kept.</summary>
    public void GiveBack(WorkerMessage message)
    {
        if (message.BodyCase != WorkerMessage.BodyOneofCase.Tokens) return;
        var batch = message.Tokens;
        message.ClearBody();
        lock (_lock)
        {
            // Removed one by one: Clear would throw the lists' memory away.
            for (var i = batch.Runs.Count - 1; i >= 0; i--)
            {
                var run = batch.Runs[i];
                batch.Runs.RemoveAt(i);
                (run.Key, run.FirstIndex, run.Finish) = (null, 0, FinishReason.Unspecified);
                for (var token = run.Tokens.Count - 1; token >= 0; token--) run.Tokens.RemoveAt(token);
                for (var logprob = run.Logprobs.Count - 1; logprob >= 0; logprob--) run.Logprobs.RemoveAt(logprob);
                Keep(_runs, run);
            }

            batch.Prompts.Clear();
            Keep(_batches, batch);
            Keep(_messages, message);
        }
    }

    /// <summary>One that still says something, in a field that this class does not know, must not be said again.
    /// </summary>
    private static void Keep<T>(Stack<T> kept, T message)
        where T : IMessage
    {
        if (kept.Count < KeptMax && message.CalculateSize() == 0) kept.Push(message);
    }

    private T Take<T>(Stack<T> kept)
        where T : new()
    {
        lock (_lock) return kept.TryPop(out var message) ? message : new T();
    }
}
