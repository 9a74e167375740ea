using System.Reflection;
using System.Text;
using Krewe.Abstractions;
using Orleans;

namespace Krewe.Grains.Tests.Contracts;

/// <summary>
/// What silos of neighbouring versions say to each other is text under review: a change shows in contracts.txt. Members
/// may be added under new numbers; a number is never given to another member.
/// </summary>
public class ContractListTests
{
    private const string Rewrite = "KREWE_WRITE_CONTRACTS";

    [Fact]
    public void The_contract_list_says_what_the_interfaces_are()
    {
        var actual = Describe(typeof(IRequestGrain).Assembly);
        var path = Path.Combine(RepositoryRoot(), "tests", "Grains.Tests", "Contracts", "contracts.txt");
        if (Environment.GetEnvironmentVariable(Rewrite) is not null)
            File.WriteAllText(path, actual);
        var listed = File.ReadAllText(path);
        Assert.True(listed == actual,
            $"contracts.txt is not what the code says. Run the tests once with {Rewrite}=1 and review the difference.");
    }

    private static string Describe(Assembly assembly)
    {
        var text = new StringBuilder();
        var checker = new SerializableChecker().Check(typeof(KreweException), "thrown", mayChange: false);
        foreach (var grainInterface in SerializableChecker.GrainInterfaces(assembly))
        {
            checker.CheckInterface(grainInterface);
            var parents = string.Join(
                ", ", grainInterface.GetInterfaces().Select(NameOf).Order(StringComparer.Ordinal));
            text.Append($"interface {grainInterface.Name} : {parents}\n");
            foreach (var method in grainInterface.GetMethods().OrderBy(method => method.Name, StringComparer.Ordinal))
            {
                var parameters = method.GetParameters().Select(p => $"{NameOf(p.ParameterType)} {p.Name}");
                text.Append($"    {NameOf(method.ReturnType)} {method.Name}({string.Join(", ", parameters)})\n");
            }
        }

        foreach (var type in checker.Walked.OrderBy(type => type.Name, StringComparer.Ordinal))
        {
            text.Append($"{(type.IsValueType ? "struct" : "class")} {type.Name}\n");
            foreach (var (id, property) in NumberedMembers(type))
                text.Append($"    {id} {NameOf(property.PropertyType)} {property.Name}\n");
        }

        foreach (var type in checker.Walked.SelectMany(NumberedMembers)
            .Select(member => Nullable.GetUnderlyingType(member.Property.PropertyType) ?? member.Property.PropertyType)
            .Where(type => type.IsEnum).Distinct().OrderBy(type => type.Name, StringComparer.Ordinal))
        {
            text.Append($"enum {type.Name}\n");
            foreach (var value in Enum.GetValues(type))
                text.Append($"    {Convert.ToInt64(value, null)} {value}\n");
        }

        return text.ToString();
    }

    private static IEnumerable<(uint Id, PropertyInfo Property)> NumberedMembers(Type type) =>
        from property in type.GetProperties()
        let id = property.GetCustomAttribute<IdAttribute>()
        where id is not null
        orderby id.Id
        select (id.Id, property);

    private static string NameOf(Type type) => type.IsGenericType
        ? $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<"
            + $"{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>"
        : type.Name;

    private static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Orleans.sln")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("No Orleans.sln above the test's folder.");
        return folder.FullName;
    }
}
