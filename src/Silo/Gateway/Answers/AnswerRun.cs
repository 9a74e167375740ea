using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Silo.Cluster;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;
using Krewe.Silo.Streams;
using Krewe.Silo.Telemetry;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// One running request: its sequences, each with a stream and a grain. Invariant: when it has ended, each sequence has
/// exactly one outcome and no worker goes on computing for it. Any number of readers may read it, also after its end.
/// </summary>
internal sealed partial class AnswerRun(
    GenerationRequest request,
    IReadOnlyList<RequestStream> streams,
    IReadOnlyList<IRequestGrain> grains,
    ServedModel model,
    RequestStreams registry,
    TimeProvider time,
    ILogger log) : IAsyncDisposable
{
    private const string StopString = "stop";

    private readonly CancellationTokenSource _ended = new();
    private readonly List<Task> _siblings = [];
    private readonly bool[] _isStarted = new bool[streams.Count];
    private int _isEnded;

    public GenerationRequest Request => request;

    public string Id => request.Spec.RequestId;

    /// <summary>Every sequence has its last token.</summary>
    public bool IsFinished => streams.All(stream => stream.End is StreamEnd.Finished);

    /// <summary>How its sequences fare, in their order.</summary>
    public IEnumerable<SequenceWatch> Watches => streams.Select(stream => stream.Watch).OfType<SequenceWatch>();

    /// <summary>Of each sequence that has its last token.</summary>
    public string[] FinishReasons =>
        [.. streams.Select(stream => stream.End).OfType<StreamEnd.Finished>().Select(end => end.Reason)];

    /// <summary>About how many bytes it takes to keep the run.</summary>
    public long Weight
    {
        get
        {
            const int SequenceBytes = 2048, TokenBytes = 4, LogprobBytes = 64;
            var scored = request.Spec.Sampling;
            var tokenBytes = TokenBytes + (scored.TopLogprobs is { } top ? LogprobBytes + (8 * top) : 0);
            var promptBytes = TokenBytes + (scored.PromptLogprobs is { } prompt ? LogprobBytes + (8 * prompt) : 0);
            return (request.Origin?.Body.Length ?? 0) + request.Specs.Sum(spec =>
                SequenceBytes + ((long)promptBytes * spec.PromptTokens.Length)
                + ((long)tokenBytes * streams[spec.Choice].TokenCount));
        }
    }

    /// <summary>A reader at the first token.</summary>
    public AnswerReader OpenReader() => new(
        this,
        [
            .. streams.Select((stream, i) => new SequenceReader(
                request, stream, model.Folder.Tokenizer, time, tokens => StopAt(i, tokens))),
        ]);

    /// <summary>Log-probabilities of a sequence's prompt from its second token on; all are there with its first output
    /// token.</summary>
    public IReadOnlyList<Abstractions.Wire.TokenLogprobs> PromptLogprobsOf(int sequence) =>
        streams[sequence - (sequence % request.Candidates)].PromptLogprobs();

    /// <summary>The prompts counted once each, and this many output tokens, so many of them thoughts.</summary>
    public AnswerUsage UsageOf(int outputTokens, int reasoningTokens = 0)
    {
        var (prompts, cached) = (0, (int?)null);
        for (var i = 0; i < streams.Count; i += request.Candidates)
        {
            prompts += request.Specs[i].PromptTokens.Length;
            if (streams[i].Reports.PrefixHitTokens is { } hit) cached = (cached ?? 0) + hit;
        }

        return new AnswerUsage(prompts, outputTokens, cached, request.Reasoning is null ? null : reasoningTokens);
    }

    /// <summary>
    /// Starts the first sequence of each prompt, and the others behind its first token: by then its prompt is in the
    /// prefill worker's prefix cache and is computed once for all. Throws <see cref="KreweException"/> when the cluster
    /// refuses one; then nothing is held.
    /// </summary>
    /// <param name="start">How one sequence is started at its grain.</param>
    public async Task StartAsync(Func<IRequestGrain, RequestSpec, Task> start)
    {
        try
        {
            for (var i = 0; i < streams.Count; i += request.Candidates) await StartAsync(i, start);
        }
        catch
        {
            await DisposeAsync();
            throw;
        }

        if (request.Candidates == 1) return;
        for (var i = 0; i < streams.Count; i += request.Candidates) _siblings.Add(StartSiblingsAsync(i, start));
    }

    /// <summary>Ends the request on every worker unless it has ended by itself.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isEnded, 1) != 0) return;
        await _ended.CancelAsync();
        await Task.WhenAll(_siblings);
        for (var i = 0; i < streams.Count; i++)
        {
            var finished = streams[i].End is StreamEnd.Finished;
            registry.Close(streams[i]);
            if (!finished && _isStarted[i])
                await TellAsync(i, RequestOutcome.Cancelled, "the client went away", null);
        }

        _ended.Dispose();
    }

    private async Task StartAsync(int sequence, Func<IRequestGrain, RequestSpec, Task> start)
    {
        _isStarted[sequence] = true;
        try
        {
            await start(grains[sequence], request.Specs[sequence]);
        }
        catch (KreweException)
        {
            // Refused: its grain holds nothing of it, and a cancel could hit another request that has the id.
            _isStarted[sequence] = false;
            throw;
        }
        catch (OrleansException e)
        {
            // Its grain could not be made: there is nothing to cancel, and the host would be asked in vain once more.
            _isStarted[sequence] = false;
            throw GrainAnswers.Unavailable(e);
        }
    }

    /// <summary>A reader found a stop string with the first <paramref name="tokens"/> of a sequence.</summary>
    private void StopAt(int sequence, int tokens)
    {
        if (streams[sequence].TryStop(tokens))
            _ = TellAsync(sequence, RequestOutcome.Finished, "a stop string", StopString);
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "Nobody awaits a sibling's start: whatever its grain's host throws must end the answer's streams.")]
    private async Task StartSiblingsAsync(int lead, Func<IRequestGrain, RequestSpec, Task> start)
    {
        try
        {
            await streams[lead].ReadAsync(0, _ended.Token);
            for (var i = lead + 1; i < lead + request.Candidates; i++)
            {
                if (streams[lead].End is StreamEnd.Failed) return;
                _ended.Token.ThrowIfCancellationRequested();
                await StartAsync(i, start);
            }
        }
        catch (OperationCanceledException) when (_ended.IsCancellationRequested)
        {
            // The answer is over before all of it was begun.
        }
        catch (Exception e)
        {
            var error = e as KreweException
                ?? new KreweException(ErrorCode.Internal, "A further answer could not be started.", innerException: e);
            foreach (var stream in streams) stream.TryEnd(new StreamEnd.Failed(error.Code, error.Message));
        }
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has; the client's answer is over whatever it says.")]
    private async Task TellAsync(int sequence, RequestOutcome outcome, string reason, string? finishReason)
    {
        try
        {
            await grains[sequence].CancelAsync(outcome, reason, finishReason, streams[sequence].TokenCount);
        }
        catch (Exception e)
        {
            CancelFailed(log, e, request.Specs[sequence].GrainKey);
        }
    }

    [LoggerMessage(30, LogLevel.Warning, "Request {RequestId} could not be cancelled; its leases will run out")]
    private static partial void CancelFailed(ILogger log, Exception error, string requestId);
}
