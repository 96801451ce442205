//! Studies and their trials.

mod decode;
mod encode;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tenor_domain::{Error, Etag, RequestId};
use tenor_platform::{NewReport, Platform, SearchTrials, StudyPatch, TrialEnd};
use tenor_proto::v1 as pb;
use tenor_proto::v1::study_service_server::StudyService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::decode::{caller, given, page, params, tags_patch};
use crate::services::drain::while_serving;
use crate::status::status;

pub(crate) struct Studies {
    pub(crate) platform: Arc<Platform>,
    pub(crate) shutdown: CancellationToken,
}

impl Studies {
    fn studies(&self) -> tenor_platform::Studies<'_> {
        self.platform.studies()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl StudyService for Studies {
    async fn create_study(&self, request: Request<pb::CreateStudyRequest>) -> Answer<pb::Study> {
        let caller = caller(request.metadata());
        let request = request.into_inner();
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let check_only = request.validate_only;
        let new = decode::new_study(request).map_err(status)?;
        let study = match check_only {
            true => self.studies().check(&caller, new).await,
            false => self.studies().create(&caller, new, request_id).await,
        };
        study.and_then(encode::study).map(Response::new).map_err(status)
    }

    async fn get_study(&self, request: Request<pb::GetStudyRequest>) -> Answer<pb::Study> {
        let study = self.studies().get(&request.into_inner().study).await;
        study.and_then(encode::study).map(Response::new).map_err(status)
    }

    async fn list_studies(&self, request: Request<pb::ListStudiesRequest>) -> Answer<pb::ListStudiesResponse> {
        let request = request.into_inner();
        let page = page(request.page_size, request.page_token).map_err(status)?;
        let page = self.studies().list(page, given(&request.name_prefix)).await.map_err(status)?;
        let studies = page.items.into_iter().map(encode::study).collect::<Result<_, _>>().map_err(status)?;
        Ok(Response::new(pb::ListStudiesResponse { studies, next_page_token: page.next.unwrap_or_default() }))
    }

    async fn update_study(&self, request: Request<pb::UpdateStudyRequest>) -> Answer<pb::Study> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let tags = tags_patch(request.tags, request.replace_tags).map_err(status)?;
        let patch = StudyPatch { description: request.description, tags };
        let study = self.studies().update(&request.study, patch, etag).await;
        study.and_then(encode::study).map(Response::new).map_err(status)
    }

    async fn delete_study(&self, request: Request<pb::DeleteStudyRequest>) -> Answer<pb::DeleteStudyResponse> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        self.studies().delete(&request.study, etag).await.map_err(status)?;
        Ok(Response::new(pb::DeleteStudyResponse {}))
    }

    async fn pause_study(&self, request: Request<pb::PauseStudyRequest>) -> Answer<pb::Study> {
        let study = self.studies().pause(&request.into_inner().study).await;
        study.and_then(encode::study).map(Response::new).map_err(status)
    }

    async fn resume_study(&self, request: Request<pb::ResumeStudyRequest>) -> Answer<pb::Study> {
        let caller = caller(request.metadata());
        let study = self.studies().resume(&caller, &request.into_inner().study).await;
        study.and_then(encode::study).map(Response::new).map_err(status)
    }

    async fn stop_study(&self, request: Request<pb::StopStudyRequest>) -> Answer<pb::Study> {
        let study = self.studies().stop(&request.into_inner().study).await;
        study.and_then(encode::study).map(Response::new).map_err(status)
    }

    async fn suggest(&self, request: Request<pb::SuggestRequest>) -> Answer<pb::SuggestResponse> {
        let caller = caller(request.metadata());
        let request = request.into_inner();
        let suggested = self.studies().suggest(&caller, &request.study, &request.client_id).await.map_err(status)?;
        Ok(Response::new(pb::SuggestResponse { trial: Some(encode::trial(suggested.trial)), again: suggested.again }))
    }

    async fn enqueue_trials(&self, request: Request<pb::EnqueueTrialsRequest>) -> Answer<pb::EnqueueTrialsResponse> {
        let caller = caller(request.metadata());
        let request = request.into_inner();
        let points = request.points.into_iter().map(|point| params(point.params)).collect::<Result<_, _>>();
        let trials = self.studies().enqueue(&caller, &request.study, points.map_err(status)?).await.map_err(status)?;
        Ok(Response::new(pb::EnqueueTrialsResponse { trials: trials.into_iter().map(encode::trial).collect() }))
    }

    async fn heartbeat_trial(&self, request: Request<pb::HeartbeatTrialRequest>) -> Answer<pb::Trial> {
        let request = request.into_inner();
        let trial = self.studies().heartbeat(&request.study, request.number, &request.client_id).await;
        trial.map(encode::trial).map(Response::new).map_err(status)
    }

    async fn report_intermediate(
        &self,
        request: Request<pb::ReportIntermediateRequest>,
    ) -> Answer<pb::ReportIntermediateResponse> {
        let request = request.into_inner();
        let report = NewReport { step: request.step, metrics: request.metrics };
        let decided = self.studies().report(&request.study, request.number, &request.client_id, report).await;
        let decided = decided.map_err(status)?;
        Ok(Response::new(pb::ReportIntermediateResponse { prune: decided.prune, reason: decided.reason }))
    }

    async fn should_prune(&self, request: Request<pb::ShouldPruneRequest>) -> Answer<pb::ShouldPruneResponse> {
        let request = request.into_inner();
        let last = self.studies().should_prune(&request.study, request.number).await.map_err(status)?;
        let (prune, reason) = last.map_or((false, "nothing is reported yet".to_owned()), |it| (it.prune, it.reason));
        Ok(Response::new(pb::ShouldPruneResponse { prune, reason }))
    }

    async fn complete_trial(&self, request: Request<pb::CompleteTrialRequest>) -> Answer<pb::Trial> {
        let caller = caller(request.metadata());
        let pb::CompleteTrialRequest { study, number, client_id, metrics } = request.into_inner();
        self.tell(&caller, &study, number, &client_id, TrialEnd::Complete(metrics)).await
    }

    async fn prune_trial(&self, request: Request<pb::PruneTrialRequest>) -> Answer<pb::Trial> {
        let caller = caller(request.metadata());
        let pb::PruneTrialRequest { study, number, client_id, metrics } = request.into_inner();
        self.tell(&caller, &study, number, &client_id, TrialEnd::Pruned(metrics)).await
    }

    async fn fail_trial(&self, request: Request<pb::FailTrialRequest>) -> Answer<pb::Trial> {
        let caller = caller(request.metadata());
        let pb::FailTrialRequest { study, number, client_id, error } = request.into_inner();
        self.tell(&caller, &study, number, &client_id, TrialEnd::Failed(error)).await
    }

    async fn get_trial(&self, request: Request<pb::GetTrialRequest>) -> Answer<pb::Trial> {
        let request = request.into_inner();
        let trial = self.studies().trial(&request.study, request.number).await;
        trial.map(encode::trial).map(Response::new).map_err(status)
    }

    async fn list_trials(&self, request: Request<pb::ListTrialsRequest>) -> Answer<pb::ListTrialsResponse> {
        let request = request.into_inner();
        let page = page(request.page_size, request.page_token).map_err(status)?;
        let states = request.states.into_iter().map(decode::trial_state).collect::<Result<_, _>>().map_err(status)?;
        let search = SearchTrials { states, filter: request.filter, order_by: request.order_by };
        let page = self.studies().list_trials(&request.study, search, page).await.map_err(status)?;
        let page = page.map(encode::trial);
        Ok(Response::new(pb::ListTrialsResponse { trials: page.items, next_page_token: page.next.unwrap_or_default() }))
    }

    async fn pareto_front(&self, request: Request<pb::ParetoFrontRequest>) -> Answer<pb::ParetoFrontResponse> {
        let trials = self.studies().pareto_front(&request.into_inner().study).await.map_err(status)?;
        Ok(Response::new(pb::ParetoFrontResponse { trials: trials.into_iter().map(encode::trial).collect() }))
    }

    async fn importance(&self, request: Request<pb::ImportanceRequest>) -> Answer<pb::ImportanceResponse> {
        let request = request.into_inner();
        let found = self.studies().importance(&request.study, given(&request.objective)).await.map_err(status)?;
        Ok(Response::new(encode::importance(found)))
    }

    async fn select_best(&self, request: Request<pb::SelectBestRequest>) -> Answer<pb::SelectBestResponse> {
        let caller = caller(request.metadata());
        let request = request.into_inner();
        let policy = request.policy.map(decode::policy).transpose().map_err(status)?;
        let chosen = match request.refit {
            true => self.studies().refit_best(&caller, &request.study, policy.as_ref()).await,
            false => self.studies().select_best(&request.study, policy.as_ref()).await,
        };
        let chosen = chosen.map_err(status)?;
        Ok(Response::new(pb::SelectBestResponse {
            trial: Some(encode::trial(chosen.trial)),
            reason: chosen.reason,
            run_id: chosen.run_id.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }

    type WatchStudyStream = BoxStream<'static, Result<pb::StudyChange, Status>>;

    async fn watch_study(&self, request: Request<pb::WatchStudyRequest>) -> Answer<Self::WatchStudyStream> {
        let request = request.into_inner();
        if request.after_revision < 0 {
            let text = "must not be negative; 0 means from the beginning";
            return Err(status(Error::invalid("after_revision", text)));
        }
        // A study that is not there is an error now, not an empty stream.
        let study = self.studies().get(&request.study).await.map_err(status)?;
        let changes = self.studies().watch(&study.id, request.after_revision);
        let changes = changes.map(|change| change.and_then(encode::change).map_err(status));
        Ok(Response::new(while_serving(changes, self.shutdown.clone())))
    }

    async fn get_study_report(
        &self,
        request: Request<pb::GetStudyReportRequest>,
    ) -> Answer<pb::GetStudyReportResponse> {
        let html = self.studies().report_page(&request.into_inner().study).await.map_err(status)?;
        Ok(Response::new(pb::GetStudyReportResponse { html }))
    }
}

impl Studies {
    async fn tell(
        &self,
        caller: &tenor_domain::Caller,
        study: &str,
        number: i64,
        client_id: &str,
        end: TrialEnd,
    ) -> Answer<pb::Trial> {
        let trial = self.studies().tell(caller, study, number, client_id, end).await;
        trial.map(encode::trial).map(Response::new).map_err(status)
    }
}
