using System.Diagnostics.CodeAnalysis;
using System.Text;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Streams;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// One running request as its client sees it. Invariant: when it is disposed of, its request has exactly one outcome
/// and no worker goes on computing for it.
/// </summary>
internal sealed partial class Generation(
    GenerationRequest request,
    RequestStream stream,
    IRequestGrain grain,
    Tokenizer tokenizer,
    RequestStreams streams,
    ILogger log) : IAsyncDisposable
{
    private const string StopString = "stop";

    private readonly AnswerText _text = new(tokenizer, request);
    private int _outputTokens;
    private bool _isStopped;

    public AnswerUsage Usage => new(
        request.Spec.PromptTokens.Length, _outputTokens, stream.Reports.PrefixHitTokens);

    /// <summary>
    /// Waits for more of the answer; the last delta has a finish reason, and nothing may be asked for behind it. Throws
    /// <see cref="KreweException"/> when the request failed, after everything before the error was given.
    /// </summary>
    public async Task<AnswerDelta> NextAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await stream.ReadAsync(_outputTokens, cancellationToken);
            if (read.Tokens.Length == 0 && read.End is StreamEnd.Failed failed)
                throw new KreweException(failed.Code, failed.Message);
            if (read.Tokens.Length == 0 && read.End is StreamEnd.Closed)
                throw new KreweException(ErrorCode.ClientClosedRequest, "The answer was closed.");
            // :: Step 9
            var delta = Take(read.Tokens, (read.End as StreamEnd.Finished)?.Reason);
            if (delta.Text.Length > 0 || delta.FinishReason is not null || request.ReturnTokenIds) return delta;
        }
    }

    /// <summary>Ends the request on every worker unless it has ended by itself.</summary>
    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has; the client's answer is over whatever it says.")]
    public async ValueTask DisposeAsync()
    {
        var finished = stream.End is StreamEnd.Finished;
        streams.Close(stream);
        if (finished && !_isStopped) return;
        try
        {
            if (_isStopped)
                await grain.CancelAsync(RequestOutcome.Finished, "a stop string", StopString, _outputTokens);
            else
                await grain.CancelAsync(RequestOutcome.Cancelled, "the client went away", null, _outputTokens);
        }
        catch (Exception e)
        {
            CancelFailed(log, e, stream.RequestId);
        }
    }

    private AnswerDelta Take(int[] tokens, string? finishReason)
    {
        var text = new StringBuilder();
        for (var i = 0; i < tokens.Length; i++)
        {
            _outputTokens++;
            // The stop token is an output token but no text.
            if (finishReason == "stop" && i == tokens.Length - 1) break;
            if (!_text.Append(tokens[i], text)) continue;
            _isStopped = true;
            return new AnswerDelta(text.ToString(), tokens[..(i + 1)], StopString);
        }

        if (finishReason is not null && _text.Finish(text))
        {
            _isStopped = true;
            finishReason = StopString;
        }

        return new AnswerDelta(text.ToString(), tokens, finishReason);
    }

    [LoggerMessage(30, LogLevel.Warning, "Request {RequestId} could not be cancelled; its leases will run out")]
    private static partial void CancelFailed(ILogger log, Exception error, string requestId);
}
