using System.Net;

namespace Krewe.Cli;

/// <summary>Waits until a gateway answers <c>/health/ready</c> with 200: a generation went through.</summary>
internal sealed class Readiness(HttpClient http, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    public async Task WaitAsync(Uri gateway, CancellationToken cancellationToken)
    {
        var address = new Uri(gateway, "/health/ready");
        while (!await IsReadyAsync(address, cancellationToken)) await Task.Delay(Pause, time, cancellationToken);
    }

    private async Task<bool> IsReadyAsync(Uri address, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await http.GetAsync(address, cancellationToken);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            // Not listening yet, or cut off in the middle: the next question will tell.
            return false;
        }
    }
}
