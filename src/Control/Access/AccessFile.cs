using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Krewe.Control.Access;

/// <summary>
/// Reads the JSON of a key file: {"keys": [{name, sha256, tenant, roles, expires}], "tenants": {name: limits}}. A field
/// that is not known is an error: a misspelt limit must not be no limit.
/// </summary>
public static partial class AccessFile
{
    /// <summary>The tenant of a key that names none.</summary>
    public const string UsualTenant = "default";

    /// <summary>The table of all texts together. <paramref name="errors"/> names file and entry, all at once.</summary>
    /// <param name="files">Name and content.</param>
    public static AccessTable Read(IEnumerable<(string Name, string Json)> files, out IReadOnlyList<string> errors)
    {
        List<string> wrong = [];
        List<ApiKey> keys = [];
        Dictionary<string, TenantPolicy> tenants = new(StringComparer.Ordinal);
        foreach (var (name, json) in files) ReadOne(name, json, keys, tenants, wrong);
        wrong.AddRange(keys.GroupBy(key => key.Name, StringComparer.Ordinal).Where(group => group.Count() > 1)
            .Select(group => $"Two keys are called '{group.Key}'; the audit log could not tell them apart."));
        wrong.AddRange(keys.GroupBy(key => Convert.ToHexStringLower(key.Hash.Span)).Where(group => group.Count() > 1)
            .Select(group => string.Join(", ", group.Select(key => $"'{key.Name}'")))
            .Select(names => $"The keys {names} have the same hash."));
        errors = wrong;
        return new AccessTable(keys, tenants);
    }

    private static void ReadOne(
        string name, string json, List<ApiKey> keys, Dictionary<string, TenantPolicy> tenants, List<string> wrong)
    {
        Document? document;
        try
        {
            document = JsonSerializer.Deserialize(json, AccessJson.Default.Document);
        }
        catch (JsonException e)
        {
            wrong.Add($"{name} is no key file: {e.Message}");
            return;
        }

        foreach (var (tenant, limits) in document?.Tenants ?? [])
        {
            wrong.AddRange(Check($"{name}, tenant '{tenant}'", tenant, limits));
            if (!tenants.TryAdd(tenant, limits.ToPolicy(tenant)))
                wrong.Add($"{name}: tenant '{tenant}' is there twice.");
        }

        foreach (var entry in document?.Keys ?? [])
        {
            var at = $"{name}, key '{entry.Name}'";
            if (Read(entry, at, wrong) is { } key) keys.Add(key);
        }
    }

    private static ApiKey? Read(KeyEntry entry, string at, List<string> wrong)
    {
        var before = wrong.Count;
        var tenant = entry.Tenant ?? UsualTenant;
        if (!NamePattern().IsMatch(entry.Name)) wrong.Add($"{at}: a name is 1 to 64 letters, digits, '-' and '_'.");
        if (!NamePattern().IsMatch(tenant))
            wrong.Add($"{at}: tenant '{tenant}'; a name is 1 to 64 letters, digits, '-' and '_'.");
        if (!HashPattern().IsMatch(entry.Sha256))
        {
            wrong.Add($"{at}: 'sha256' must be the 64 hexadecimal digits that 'krewe keys hash' prints, never the key "
                + "itself.");
        }

        var roles = AccessRoles.None;
        foreach (var role in entry.Roles ?? ["inference"])
        {
            var isKnown = Enum.TryParse<AccessRoles>(role, ignoreCase: true, out var value)
                && value is AccessRoles.Inference or AccessRoles.Operator or AccessRoles.Admin;
            if (isKnown)
                roles |= value;
            else
                wrong.Add($"{at}: role '{role}'; known are inference, operator and admin.");
        }

        if (roles == AccessRoles.None) wrong.Add($"{at}: it has no role; give it inference, operator or admin.");
        return wrong.Count > before
            ? null
            : new ApiKey(entry.Name, Convert.FromHexString(entry.Sha256), tenant, roles, entry.Expires);
    }

    private static IEnumerable<string> Check(string at, string tenant, TenantLimits limits)
    {
        if (!NamePattern().IsMatch(tenant)) yield return $"{at}: a name is 1 to 64 letters, digits, '-' and '_'.";
        if (limits.Weight is not (null or > 0 and <= 1e6)) yield return $"{at}: 'weight' must be above 0, at most 1e6.";
        if (limits.Priority is < -TenantPolicy.PriorityMax or > TenantPolicy.PriorityMax)
            yield return $"{at}: 'priority' must be -{TenantPolicy.PriorityMax} to {TenantPolicy.PriorityMax}.";
        foreach (var (field, value) in limits.Counts())
        {
            if (value < 1)
            {
                yield return string.Create(
                    CultureInfo.InvariantCulture, $"{at}: '{field}' is {value}; it must be at least 1, or left out.");
            }
        }

        if (limits.MaxSeconds is not (null or > 0 and < 1e9)) yield return $"{at}: 'max_seconds' must be positive.";
    }

    [GeneratedRegex("^[A-Za-z0-9_-]{1,64}$")]
    private static partial Regex NamePattern();

    [GeneratedRegex("^[0-9A-Fa-f]{64}$")]
    private static partial Regex HashPattern();

    internal sealed record Document(List<KeyEntry>? Keys, Dictionary<string, TenantLimits>? Tenants);

    internal sealed record KeyEntry
    {
        public required string Name { get; init; }

        public required string Sha256 { get; init; }

        public string? Tenant { get; init; }

        public string[]? Roles { get; init; }

        public DateTimeOffset? Expires { get; init; }
    }

    /// <summary>As <see cref="TenantPolicy"/>.</summary>
    internal sealed record TenantLimits
    {
        public double? Weight { get; init; }

        public int Priority { get; init; }

        public int? MaxConcurrent { get; init; }

        public int? RequestsPerMinute { get; init; }

        public int? TokensPerMinute { get; init; }

        public int? MaxPromptTokens { get; init; }

        public int? MaxOutputTokens { get; init; }

        public int? MaxChoices { get; init; }

        public double? MaxSeconds { get; init; }

        public bool SharePrefixes { get; init; }

        public IEnumerable<(string Field, int? Value)> Counts() =>
        [
            ("max_concurrent", MaxConcurrent), ("requests_per_minute", RequestsPerMinute),
            ("tokens_per_minute", TokensPerMinute), ("max_prompt_tokens", MaxPromptTokens),
            ("max_output_tokens", MaxOutputTokens), ("max_choices", MaxChoices),
        ];

        public TenantPolicy ToPolicy(string name) => new()
        {
            Name = name,
            Weight = Weight ?? 1,
            Priority = Priority,
            MaxConcurrent = MaxConcurrent,
            RequestsPerMinute = RequestsPerMinute,
            TokensPerMinute = TokensPerMinute,
            MaxPromptTokens = MaxPromptTokens,
            MaxOutputTokens = MaxOutputTokens,
            MaxChoices = MaxChoices,
            MaxTime = MaxSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            SharesPrefixes = SharePrefixes,
        };
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true)]
[JsonSerializable(typeof(AccessFile.Document))]
internal sealed partial class AccessJson : JsonSerializerContext;
