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
            foreach (var run in batch.Runs)
            {
                if (_runs.Count == KeptMax) break;
                run.Key = null;
                run.Tokens.Clear();
                run.Logprobs.Clear();
                run.Finish = FinishReason.Unspecified;
                _runs.Push(run);
            }

            batch.Runs.Clear();
            batch.Prompts.Clear();
            if (_batches.Count < KeptMax) _batches.Push(batch);
            if (_messages.Count < KeptMax) _messages.Push(message);
        }
    }

    private T Take<T>(Stack<T> kept)
        where T : new()
    {
        lock (_lock) return kept.TryPop(out var message) ? message : new T();
    }
}
