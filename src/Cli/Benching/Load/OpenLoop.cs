using System.Net.Http.Headers;
using System.Net.Http.Json;

namespace Krewe.Cli;

/// <summary>
/// Sends requests when they are due, whether earlier ones were answered or not: what a crowd of strangers does. A limit
/// on requests at once holds later ones back, and their waiting counts.
/// </summary>
internal sealed class OpenLoop(HttpClient http, TimeProvider time, int? concurrency = null)
{
    private const int BufferBytes = 16 << 10;

    /// <summary>Timers fire about so late; the rest is waited for awake.</summary>
    private static readonly TimeSpan TimerError = TimeSpan.FromMilliseconds(1.2);

    /// <param name="requests">In order of <see cref="LoadRequest.At"/>.</param>
    /// <param name="ended">Told of each that has ended.</param>
    /// <param name="cut">Sends no more, and ends what is under way; what was sent until then is told.</param>
    public async Task<LoadOutcome[]> RunAsync(
        IReadOnlyList<LoadRequest> requests, Action<LoadOutcome>? ended, CancellationToken cancellationToken,
        CancellationToken cut = default)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, cut);
        using var places = new SemaphoreSlim(concurrency ?? int.MaxValue);
        var start = time.GetTimestamp();
        var running = new List<Task<LoadOutcome>>(requests.Count);
        try
        {
            foreach (var request in requests)
            {
                await WaitUntilAsync(start, request.At, either.Token);
                await places.WaitAsync(either.Token);
                running.Add(SendAsync(request));
            }
        }
        catch (OperationCanceledException) when (cut.IsCancellationRequested)
        {
            // The rest is not sent.
        }

        return await Task.WhenAll(running);

        async Task<LoadOutcome> SendAsync(LoadRequest request)
        {
            // The sender goes on to the next at once.
            await Task.Yield();
            var outcome = await AskAsync(request, start, either.Token);
            places.Release();
            ended?.Invoke(outcome);
            return outcome;
        }
    }

    private async Task WaitUntilAsync(long start, TimeSpan at, CancellationToken cancellationToken)
    {
        var left = at - time.GetElapsedTime(start);
        if (left > TimerError) await Task.Delay(left - TimerError, time, cancellationToken);
        while (time.GetElapsedTime(start) < at) await Task.Yield();
    }

    private async Task<LoadOutcome> AskAsync(LoadRequest request, long start, CancellationToken cancellationToken)
    {
        var sentAt = time.GetElapsedTime(start);
        using var message = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Content = JsonContent.Create(
                new CompletionAsked(request.Prompt, request.OutputTokens), ServingJson.Default.CompletionAsked),
        };
        if (request.Key is { } key) message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        if (request.Id is { } id) message.Headers.Add("X-Request-Id", id);
        var (status, events) = (0, new EventCounter());
        TimeSpan? first = null;
        string? error = null;
        try
        {
            using var response = await http.SendAsync(
                message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            status = (int)response.StatusCode;
            if (!response.IsSuccessStatusCode)
            {
                error = await response.Content.ReadAsStringAsync(cancellationToken);
            }
            else
            {
                await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
                var buffer = new byte[BufferBytes];
                for (int count; (count = await body.ReadAsync(buffer, cancellationToken)) > 0;)
                {
                    events.Take(buffer.AsSpan(0, count));
                    if (events.Count > 0) first ??= time.GetElapsedTime(start);
                }

                if (!events.IsDone) error = "the stream ended early";
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            error = e.Message;
        }

        return new LoadOutcome(
            request, sentAt, first, time.GetElapsedTime(start), Math.Min(events.Count, request.OutputTokens), status,
            error);
    }
}
