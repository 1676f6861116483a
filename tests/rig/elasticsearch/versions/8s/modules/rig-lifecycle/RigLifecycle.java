import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.ClusterStateObserver;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xpack.core.ilm.AsyncWaitStep;
import org.elasticsearch.xpack.core.ilm.DeleteAction;
import org.elasticsearch.xpack.core.ilm.LifecycleAction;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecycleSettings;
import org.elasticsearch.xpack.core.ilm.LifecycleType;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.RolloverStep;
import org.elasticsearch.xpack.core.ilm.SetPriorityAction;
import org.elasticsearch.xpack.core.ilm.Step;
import org.elasticsearch.xpack.core.ilm.TimeseriesLifecycleType;
import org.elasticsearch.xpack.core.ilm.WaitForRolloverReadyStep;
import org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest;

/**
 * Lifecycle policies: read, checked and carried out by Elastic's own classes, kept in memory by this one. What is missing is the clock:
 * POST /_rig/lifecycle/INDEX does what the policy's hot phase has waiting for that index, once, and tells whether it was rolled over.
 */
public class RigLifecycle extends Plugin implements ActionPlugin {
    private final Map<String, LifecyclePolicy> policies = new ConcurrentHashMap<>();
    private ClusterService cluster;
    private Client client;

    @Override
    public Collection<?> createComponents(PluginServices services) {
        cluster = services.clusterService();
        client = services.client();
        return List.of();
    }

    @Override
    public List<Setting<?>> getSettings() {
        return List.of(
            LifecycleSettings.LIFECYCLE_NAME_SETTING,
            LifecycleSettings.LIFECYCLE_INDEXING_COMPLETE_SETTING,
            LifecycleSettings.LIFECYCLE_ROLLOVER_ONLY_IF_HAS_DOCUMENTS_SETTING,
            RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING
        );
    }

    @Override
    public List<NamedXContentRegistry.Entry> getNamedXContent() {
        return List.of(
            new NamedXContentRegistry.Entry(LifecycleType.class, new ParseField(TimeseriesLifecycleType.TYPE), parser -> TimeseriesLifecycleType.INSTANCE),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(RolloverAction.NAME), RolloverAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(DeleteAction.NAME), DeleteAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(SetPriorityAction.NAME), SetPriorityAction::parse)
        );
    }

    @Override
    public Collection<RestHandler> getRestHandlers(
        Settings settings,
        NamedWriteableRegistry writeables,
        RestController rest,
        ClusterSettings clusterSettings,
        IndexScopedSettings indexSettings,
        SettingsFilter filter,
        IndexNameExpressionResolver names,
        Supplier<DiscoveryNodes> nodes,
        Predicate<NodeFeature> features
    ) {
        return List.of(
            new Handler("PUT", "/_ilm/policy/{name}", this::put),
            new Handler("GET", "/_ilm/policy/{name}", this::get),
            new Handler("POST", "/_rig/lifecycle/{index}", this::run)
        );
    }

    private void put(RestRequest request, RestChannel channel) throws Exception {
        String name = request.param("name");
        try (var parser = request.contentParser()) {
            var read = PutLifecycleRequest.parseRequest(new PutLifecycleRequest.Factory() {
                public PutLifecycleRequest create(LifecyclePolicy policy) {
                    return new PutLifecycleRequest(TimeValue.ZERO, TimeValue.ZERO, policy);
                }

                public String getPolicyName() {
                    return name;
                }
            }, parser);
            read.getPolicy().validate();
            policies.put(name, read.getPolicy());
        }
        answer(channel, Map.of("acknowledged", true));
    }

    private void get(RestRequest request, RestChannel channel) throws Exception {
        answer(channel, Map.of(request.param("name"), Map.of("version", 1, "policy", named(request.param("name")))));
    }

    private LifecyclePolicy named(String name) {
        LifecyclePolicy policy = policies.get(name);
        if (policy == null) {
            throw new ResourceNotFoundException("Lifecycle policy not found: {}", name);
        }
        return policy;
    }

    private void run(RestRequest request, RestChannel channel) throws Exception {
        ClusterState state = cluster.state();
        IndexMetadata index = state.metadata().index(request.param("index"));
        List<Step> steps = named(index.getLifecyclePolicyName()).toSteps(client, null);
        step(steps, WaitForRolloverReadyStep.class).evaluateCondition(state.metadata(), index, new AsyncWaitStep.Listener() {
            public void onResponse(boolean ready, ToXContentObject why) {
                if (ready) {
                    rollOver(step(steps, RolloverStep.class), index, channel);
                } else {
                    answer(channel, Map.of("rolled_over", false));
                }
            }

            public void onFailure(Exception failure) {
                fail(channel, failure);
            }
        }, TimeValue.timeValueSeconds(30));
    }

    private void rollOver(RolloverStep step, IndexMetadata index, RestChannel channel) {
        var observer = new ClusterStateObserver(cluster, TimeValue.timeValueSeconds(30), LogManager.getLogger(getClass()), client.threadPool().getThreadContext());
        step.performAction(index, cluster.state(), observer, ActionListener.wrap(
            done -> answer(channel, Map.of("rolled_over", true)),
            failure -> fail(channel, failure)
        ));
    }

    private static <T extends Step> T step(List<Step> steps, Class<T> kind) {
        return steps.stream().filter(kind::isInstance).map(kind::cast).findFirst().orElseThrow();
    }

    private static void answer(RestChannel channel, Map<String, Object> answer) {
        try {
            channel.sendResponse(new RestResponse(RestStatus.OK, channel.newBuilder().map(answer)));
        } catch (Exception failure) {
            fail(channel, failure);
        }
    }

    private static void fail(RestChannel channel, Exception failure) {
        try {
            channel.sendResponse(new RestResponse(channel, failure));
        } catch (Exception impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private interface Action {
        void perform(RestRequest request, RestChannel channel) throws Exception;
    }

    private static class Handler extends BaseRestHandler {
        private final Route route;
        private final Action action;

        Handler(String method, String path, Action action) {
            this.route = new Route(RestRequest.Method.valueOf(method), path);
            this.action = action;
        }

        @Override
        public String getName() {
            return "rig_lifecycle_" + Strings.toLowercaseAscii(route.getMethod().name()) + route.getPath().replace('/', '_');
        }

        @Override
        public List<Route> routes() {
            return List.of(route);
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            // What is not touched here is refused.
            request.params().keySet().forEach(request::param);
            if (request.hasContent()) {
                request.content();
            }
            return channel -> {
                try {
                    action.perform(request, channel);
                } catch (Exception failure) {
                    fail(channel, failure);
                }
            };
        }
    }
}
