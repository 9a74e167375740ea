using Krewe.Control.Access;

namespace Krewe.Control.Admission;

/// <summary>What a tenant has left of one minute's allowance. Null = not limited.</summary>
/// <param name="Limit">A full minute's.</param>
/// <param name="Left">Now; negative while it is in debt.</param>
/// <param name="Full">Until all of it is back.</param>
public sealed record BudgetLevel(int Limit, double Left, TimeSpan Full);

/// <summary>A tenant's two allowances, and how long to wait when one of them is used up.</summary>
/// <param name="Wait">Zero = go on.</param>
public sealed record BudgetState(BudgetLevel? Requests, BudgetLevel? Tokens, TimeSpan Wait);

/// <summary>
/// Requests and tokens a minute, a bucket each that fills evenly. A request is taken when its tokens are there, or when
/// the bucket is full: one that is larger than the bucket puts it into debt instead of never coming in. What a request
/// did not use comes back. Not thread-safe. Times on one clock, ms.
/// </summary>
public sealed class TenantBudgets
{
    private const double MinuteMs = 60_000;

    private readonly Dictionary<string, Buckets> _tenants = new(StringComparer.Ordinal);

    /// <summary>Takes one request and its tokens, or nothing; then the state says how long to wait.</summary>
    public BudgetState Take(TenantPolicy tenant, long tokens, double nowMs)
    {
        if (tenant is { RequestsPerMinute: null, TokensPerMinute: null }) return new BudgetState(null, null, default);
        if (!_tenants.TryGetValue(tenant.Name, out var buckets)) _tenants.Add(tenant.Name, buckets = new Buckets());
        buckets.Fill(tenant, nowMs);
        var requestWait = Bucket.Wait(buckets.Requests, tenant.RequestsPerMinute, 1);
        var tokenWait = Bucket.Wait(buckets.Tokens, tenant.TokensPerMinute, tokens);
        var wait = Math.Max(requestWait, tokenWait);
        if (wait == 0)
        {
            buckets.Requests.Level -= 1;
            buckets.Tokens.Level -= tokens;
        }

        return new BudgetState(
            buckets.Requests.Describe(tenant.RequestsPerMinute), buckets.Tokens.Describe(tenant.TokensPerMinute),
            TimeSpan.FromMilliseconds(wait));
    }

    /// <summary>Tokens that were taken and not used.</summary>
    public void Return(string tenant, long tokens)
    {
        if (_tenants.TryGetValue(tenant, out var buckets)) buckets.Tokens.Level += tokens;
    }

    private sealed class Buckets
    {
        private double _filledAtMs = double.NaN;

        public Bucket Requests { get; } = new();

        public Bucket Tokens { get; } = new();

        public void Fill(TenantPolicy tenant, double nowMs)
        {
            // The first time both are full.
            var ms = double.IsNaN(_filledAtMs) ? double.PositiveInfinity : Math.Max(0, nowMs - _filledAtMs);
            _filledAtMs = nowMs;
            Requests.Fill(tenant.RequestsPerMinute, ms);
            Tokens.Fill(tenant.TokensPerMinute, ms);
        }
    }

    private sealed class Bucket
    {
        public double Level { get; set; }

        /// <summary>Never above the limit: it may have been lowered by a reload.</summary>
        public void Fill(int? limit, double ms)
        {
            if (limit is { } full) Level = Math.Min(full, Level + (full * ms / MinuteMs));
        }

        public static double Wait(Bucket bucket, int? limit, long asked)
        {
            if (limit is not { } full) return 0;
            var needed = Math.Min(asked, full);
            return bucket.Level >= needed ? 0 : (needed - bucket.Level) * MinuteMs / full;
        }

        public BudgetLevel? Describe(int? limit) => limit is { } full
            ? new BudgetLevel(full, Level, TimeSpan.FromMilliseconds(Math.Max(0, full - Level) * MinuteMs / full))
            : null;
    }
}
