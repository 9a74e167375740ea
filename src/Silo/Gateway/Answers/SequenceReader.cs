using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Streams;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Reads one sequence of an answer from its first token. Invariant: the deltas are a function of request and tokens
/// alone, wherever the tokens were cut into messages: each token that shows anything is one delta.
/// </summary>
internal sealed class SequenceReader(
    GenerationRequest request, RequestStream stream, Tokenizer tokenizer, TimeProvider time, Action<int> stopAt)
{
    private const string Stop = "stop";

    private static readonly TimeSpan PromptPatience = TimeSpan.FromSeconds(3);

    private readonly AnswerText _text = new(tokenizer, request);
    private readonly Queue<AnswerDelta> _ready = [];

    private int _read;

    /// <summary>Tokens of the deltas that were taken.</summary>
    public int OutputTokens { get; private set; }

    /// <inheritdoc cref="AnswerDelta.ReasoningTokens"/>
    public int ReasoningTokens { get; private set; }

    /// <summary>The last delta was taken.</summary>
    public bool IsOver { get; private set; }

    public bool HasNext => _ready.Count > 0;

    /// <summary>The next delta. Only when there is one.</summary>
    public AnswerDelta Take()
    {
        var delta = _ready.Dequeue();
        (OutputTokens, ReasoningTokens, IsOver) = (delta.Tokens, delta.ReasoningTokens, delta.End is not null);
        return delta;
    }

    /// <summary>
    /// Waits until there is a next delta. Throws <see cref="KreweException"/> when the sequence failed, after all that
    /// came before the error was given.
    /// </summary>
    public async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        while (!HasNext)
        {
            var read = await stream.ReadAsync(_read, cancellationToken);
            if (read.Tokens.Length == 0 && read.End is StreamEnd.Failed failed)
                throw new KreweException(failed.Code, failed.Message);
            if (read.Tokens.Length == 0 && read.End is StreamEnd.Closed)
                throw new KreweException(ErrorCode.ClientClosedRequest, "The answer was closed.");
            if (stream.LacksPromptLogprobs) await WaitForPromptAsync(cancellationToken);
            Read(read);
        }
    }

    /// <summary>Decode's last word may be faster than what prefill said before it. It comes, unless its link broke.
    /// </summary>
    private async Task WaitForPromptAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(PromptPatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await stream.WhenPromptScoredAsync(either.Token);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            throw new KreweException(
                ErrorCode.WorkerLost, "The prompt's log-probabilities were lost with a worker; send it again.");
        }
    }

    private void Read(StreamRead read)
    {
        // :: Step 9
        var finished = read.End as StreamEnd.Finished;
        if (read.Tokens.Length == 0 && finished is not null)
            _ready.Enqueue(Finish("", null, null, finished));
        for (var i = 0; i < read.Tokens.Length; i++)
        {
            _read++;
            var token = read.Tokens[i];
            var logprobs = i < read.Logprobs.Length ? read.Logprobs[i] : null;
            var isLast = finished is not null && i == read.Tokens.Length - 1;
            var (text, stop) = isLast && finished!.ByStopToken && !request.ShowsStop ? ("", null) : _text.Append(token);
            if (stop is not null)
            {
                stopAt(_read);
                _ready.Enqueue(Delta(text, token, logprobs, new AnswerEnd(Stop, StopString: stop)));
                return;
            }

            if (isLast)
                _ready.Enqueue(Finish(text, token, logprobs, finished!));
            else if (text.Length > 0 || request.ShowsEveryToken)
                _ready.Enqueue(Delta(text, token, logprobs, null));
        }
    }

    private AnswerDelta Finish(string text, int? token, Wire.TokenLogprobs? logprobs, StreamEnd.Finished finished)
    {
        var (rest, stop) = _text.Finish();
        if (stop is not null) stopAt(_read);
        var stopToken = finished.ByStopToken && token is { } id && request.OwnStopTokens.Contains(id) ? token : null;
        return Delta(
            text + rest, token, logprobs,
            stop is null ? new AnswerEnd(finished.Reason, null, stopToken) : new AnswerEnd(Stop, StopString: stop));
    }

    private AnswerDelta Delta(string text, int? token, Wire.TokenLogprobs? logprobs, AnswerEnd? end) =>
        new(text, token, logprobs, _read, end) { ReasoningTokens = _text.ReasoningTokens };
}
