using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Batches;
using Krewe.Control.Steps;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Batches;

/// <summary>The requests of a batch: their order, and what becomes of each.</summary>
internal sealed partial class BatchRun
{
    /// <summary>Requests that are prepared or run at once; how many the workers get the dispatch line says.</summary>
    private const int AtOnce = 256;

    /// <summary>Tokens of a prompt that decide its place in the order.</summary>
    private const int OrderedTokens = 4096;

    /// <summary>After so many server errors that no retry should help, the request gets the error.</summary>
    private const int ServerErrorTriesMax = 3;

    private static readonly TimeSpan RetryFirst = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, bool> _done = new(StringComparer.Ordinal);

    private async Task RunLinesAsync(IReadOnlyList<BatchLine> lines, CancellationToken cancellationToken)
    {
        var (able, prompts) = ReadPrompts(lines, cancellationToken);
        using var places = new SemaphoreSlim(AtOnce);
        List<Task> running = [];
        var (before, begun, covered) = (ReadOnlyMemory<int>.Empty, Task.CompletedTask, 0);
        try
        {
            foreach (var i in inFileOrder ? [.. Enumerable.Range(0, able.Count)] : PrefixOrder.Of(prompts))
            {
                // Wait until the prompt before this one is in the cache, where that saves more than those before it
                // have put there already.
                var shared = PrefixOrder.Shared(before, prompts[i]);
                if (shared >= covered + PrefixOrder.SharedTokensMin) await begun.WaitAsync(cancellationToken);
                covered = shared;
                await places.WaitAsync(cancellationToken);
                var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                running.RemoveAll(task => task.IsCompletedSuccessfully);
                running.Add(RunOneAsync(able[i], first, places, cancellationToken));
                (before, begun) = (prompts[i], first.Task);
            }
        }
        finally
        {
            // None may go on behind the run's end, whatever ended it.
            await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        cancellationToken.ThrowIfCancellationRequested();
        await Task.WhenAll(running);
    }

    /// <summary>The lines whose body is a request, and the beginnings of their prompts. The others fail here.</summary>
    private (List<BatchLine> Lines, List<ReadOnlyMemory<int>> Prompts) ReadPrompts(
        IReadOnlyList<BatchLine> lines, CancellationToken cancellationToken)
    {
        List<BatchLine> able = [];
        List<ReadOnlyMemory<int>> prompts = [];
        foreach (var line in lines)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var id = entropy.NextId();
            try
            {
                var prompt = Read(line, id).Spec.PromptTokens;
                prompts.Add(prompt.AsMemory()[..Math.Min(prompt.Length, OrderedTokens)].ToArray());
                able.Add(line);
            }
            catch (KreweException e)
            {
                Fail(line, id, e);
            }
        }

        return (able, prompts);
    }

    private async Task RunOneAsync(
        BatchLine line, TaskCompletionSource begun, SemaphoreSlim places, CancellationToken cancellationToken)
    {
        try
        {
            var wait = RetryFirst;
            for (var tries = 1; ; tries++, wait = wait * 2 < RetryMax ? wait * 2 : RetryMax)
            {
                var id = entropy.NextId();
                try
                {
                    var body = await AnswerAsync(Read(line, id), begun, cancellationToken);
                    _done[line.CustomId] = true;
                    _output.Add(line, id, 200, body);
                    Interlocked.Increment(ref _completed);
                    return;
                }
                catch (KreweException e) when (IsWorthAnother(e.Code, tries))
                {
                    // Workers come back, and there is time: the batch's own end bounds it.
                    await Task.Delay(wait, time, cancellationToken);
                }
                catch (KreweException e)
                {
                    Fail(line, id, e);
                    return;
                }
            }
        }
        finally
        {
            begun.TrySetResult();
            places.Release();
        }
    }

    /// <summary>The cluster's trouble passes, and here nobody waits. A batch has no client that could have gone: its
    /// streams are closed by a silo that stops.</summary>
    private static bool IsWorthAnother(ErrorCode code, int tries)
    {
        var error = ErrorCatalog.Describe(code);
        return error.Retryable || code == ErrorCode.ClientClosedRequest
            || (error.HttpStatus >= 500 && tries < ServerErrorTriesMax);
    }

    private async Task<byte[]> AnswerAsync(
        GenerationRequest request, TaskCompletionSource begun, CancellationToken cancellationToken)
    {
        var run = await runs.StartAsync(request, cancellationToken);
        try
        {
            _ = run.Prefilled.ContinueWith(
                _ => begun.TrySetResult(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return await AnswerWriter.CollectAsync(run, kinds.CreateFormat(run), cancellationToken);
        }
        finally
        {
            await AnswerRuns.LeaveAsync(run);
        }
    }

    private GenerationRequest Read(BatchLine line, string id)
    {
        var now = time.GetUtcNow();
        var origin = new AnswerOrigin(Kinds[record.Endpoint], Encoding.UTF8.GetBytes(line.Body));
        var request = TenantRules.Apply(
            kinds.Read(origin, new Arrival(
                RequestIds.Inside(tenant, id), entropy.NextSeed(), now, record.ExpiresAt)),
            tenant);
        return request with
        {
            IsBatch = true,
            Specs = [.. request.Specs.Select(spec => spec with { Priority = StepOrder.LeisurePriority })],
        };
    }

    private void Fail(BatchLine line, string id, KreweException error)
    {
        _done[line.CustomId] = true;
        _errors.Add(line, id, ErrorCatalog.Describe(error.Code).HttpStatus, JsonSerializer.SerializeToUtf8Bytes(
            ErrorWriter.ToObject(error), GatewayJson.Instance.ErrorObject));
        Interlocked.Increment(ref _failed);
    }
}
